import { expect, test } from "vitest";
import type { Study } from "../../api/types";
import { formatPersonName } from "./patient-names";
import { filterHash, filterQuery, mergePages, NO_FILTER, parseFilter, sortStudies } from "./study-list";
import { groupByProgress, summarizeByModel } from "./study-row";
import {
  clearFinished,
  countProgress,
  discardUnsent,
  items,
  nextBatch,
  recordOutcomes,
  stopUploads,
  type UploadItem,
} from "./upload-queue";

function item(number: number, name: string, bytes: number): UploadItem {
  return { number, name, bytes, outcome: "waiting", file: null, study: null, problem: null, members: [] };
}

test("an archive goes alone, other files together until they are many or large", () => {
  const megabyte = 2 ** 20;
  const numbers = (list: UploadItem[]) => nextBatch(list).map((one) => one.number);
  expect(numbers([item(1, "a.zip", 9), item(2, "b.png", 9)])).toEqual([1]);
  expect(numbers([item(1, "a.png", 9), item(2, "b.dcm", 9), item(3, "c.ZIP", 9)])).toEqual([1, 2]);
  expect(numbers([item(1, "a.dcm", 40 * megabyte), item(2, "b.dcm", 40 * megabyte)])).toEqual([1]);
  expect(numbers(Array.from({ length: 40 }, (_, index) => item(index, `${index}.png`, 9)))).toHaveLength(16);
});

test("each outcome reaches the file that it is about, also those within an archive", () => {
  const sent = [item(1, "one.png", 9), item(2, "many.zip", 9)];
  items.value = sent;
  const none = { study: null, image: null, predictions: [], problem: null };
  recordOutcomes(sent, [
    { ...none, file: "file 1", status: "accepted", study: "s1" },
    { ...none, file: "file 2, member 1", status: "duplicate", study: "s2" },
    { ...none, file: "file 2, member 10", status: "refused", problem: "is a text file." },
  ]);
  const [one, many] = items.value;
  expect([one?.outcome, one?.study]).toEqual(["accepted", "s1"]);
  expect([many?.outcome, many?.members.map((member) => member.status)]).toEqual(["several", ["duplicate", "refused"]]);
});

test("a filter comes back from its own address, and days are whole days here", () => {
  const wanted = { ...NO_FILTER, patient: "p12", state: "failed", from: "2026-03-01", to: "2026-03-01" };
  expect(parseFilter(filterHash(wanted))).toEqual(wanted);
  expect(filterHash(NO_FILTER)).toBe("#/");
  const { received_from, received_to } = filterQuery(wanted);
  expect(new Date(received_from ?? "").getHours()).toBe(0);
  expect(new Date(received_to ?? "").getTime() - new Date(received_from ?? "").getTime()).toBe(24 * 3600 * 1000);
});

test("a DICOM name is written as people write it (PS3.5 6.2.1.1)", () => {
  expect(formatPersonName("Doe^Jane^Q^Dr^")).toBe("Doe, Jane Q");
  expect(formatPersonName("Yamada^Tarou=山田^太郎")).toBe("Yamada, Tarou");
  expect(formatPersonName("Doe")).toBe("Doe");
});

test("a model's state is that of its newest answers about all images of a study", () => {
  const answer = (image: string, state: "queued" | "running" | "done" | "failed") => ({
    id: `${image}${state}`,
    image,
    model: "m",
    state,
  });
  expect(summarizeByModel([answer("a", "failed"), answer("a", "done"), answer("b", "queued")])).toEqual([
    { model: "m", state: "queued", done: 1, all: 2, refusal: null, decision: null },
  ]);
});

test("models that are equally far share a word, and a refusal of every image is one", () => {
  const answer = (model: string, refusal: string | null, decision: string | null = null, image = "a") => ({
    id: `${model}${image}`,
    image,
    model,
    state: "done" as const,
    refusal,
    decision,
  });
  const groups = groupByProgress(
    summarizeByModel([
      answer("m", "lateral"),
      answer("n", "lateral"),
      answer("o", "child"),
      answer("o", null, "x", "b"),
    ]),
  );
  expect(groups.map(({ models, refusal, decision }) => [models, refusal, decision])).toEqual([
    [["m", "n"], "lateral", null],
    [["o"], null, "x"],
  ]);
});

test("stopping forgets no file, and only the reader discards what was not sent", () => {
  const sent = { ...item(1, "a.png", 9), outcome: "accepted" as const };
  items.value = [sent, ...Array.from({ length: 199 }, (_, place) => item(place + 2, `${place}.png`, 9))];
  expect(countProgress(items.value, 1)).toEqual({ done: 1, all: 200 });
  expect(countProgress(items.value, 2)).toEqual({ done: 0, all: 199 });
  stopUploads();
  expect(items.value.filter(({ outcome }) => outcome === "failed")).toHaveLength(199);
  clearFinished();
  expect(items.value).toHaveLength(199);
  discardUnsent();
  expect(items.value).toEqual([]);
});

const study = (id: string, received: string, more: Partial<Study> = {}) =>
  ({ id, received, patient: id, images: [], predictions: [], own_read: "none", ...more }) as Study;

test("a list that is fetched again keeps what lies beyond its first pages", () => {
  const known = [study("c", "2026-03"), study("b", "2026-02"), study("a", "2026-01")];
  const fresh = [study("d", "2026-04"), study("c", "2026-03")];
  expect(mergePages(fresh, known, false).map(({ id }) => id)).toEqual(["d", "c", "b", "a"]);
  expect(mergePages([study("b", "2026-02")], known.toReversed(), true).map(({ id }) => id)).toEqual(["b", "c"]);
  expect(mergePages([], known, false)).toEqual([]);
});

test("the list sorts by what it shows, and equal studies keep their places", () => {
  const list = [study("b", "3", { own_read: "final" }), study("a", "2"), study("c", "1")];
  const sorted = (column: "patient" | "read" | "received", descending = false) =>
    sortStudies(
      list,
      { column, descending },
      ({ patient }) => patient ?? "",
      () => "",
    ).map(({ id }) => id);
  expect(sorted("patient")).toEqual(["a", "b", "c"]);
  expect(sorted("read", true)).toEqual(["b", "a", "c"]);
  expect(sorted("received", true)).toEqual(["b", "a", "c"]);
});
