import { expect, test } from "vitest";
import type { Read } from "../../api/types";
import { asked, beginning, mayShow, phaseOf, same } from "./reading-phase";

const read = (more: Partial<Read>): Read => ({
  id: "r",
  reader: "me",
  version: 1,
  stage: "unaided",
  state: "draft",
  likelihoods: {},
  conclusion: null,
  text: "",
  displayed: [],
  at: "2026-01-01T00:00:00Z",
  ...more,
});
const standing = { reads: [] as Read[], reader: "me", readsFirst: false, shown: false, readingFirst: false };

test("nothing is fetched before the reader has chosen or locked", () => {
  expect(phaseOf(standing)).toBe("choice");
  expect(phaseOf({ ...standing, readingFirst: true })).toBe("unaided");
  expect(phaseOf({ ...standing, reads: [read({})] })).toBe("unaided");
  expect(phaseOf({ ...standing, readsFirst: true, shown: true })).toBe("unaided");
  expect(phaseOf({ ...standing, readsFirst: true, reads: [read({ state: "final", reader: "other" })] })).toBe(
    "unaided",
  );
  for (const phase of ["choice", "unaided"] as const) expect(mayShow(phase)).toBe(false);
});

test("after the lock, or after a showing, the report is aided; then it is done", () => {
  expect(phaseOf({ ...standing, shown: true })).toBe("aided");
  expect(phaseOf({ ...standing, readsFirst: true, reads: [read({ state: "final" })] })).toBe("aided");
  const final = read({ stage: "aided", state: "final", version: 2 });
  expect(phaseOf({ ...standing, reads: [read({ state: "final" }), final] })).toBe("done");
});

test("a form begins with its newest version, the report with the unaided read", () => {
  const first = read({ text: "a" });
  const second = read({ text: "b", version: 2, state: "final", conclusion: "covid-19" });
  expect(beginning([second, first], "me", "unaided").text).toBe("b");
  expect(beginning([first, second], "me", "aided").conclusion).toBe("covid-19");
  expect(beginning([read({ reader: "other", text: "theirs" })], "me", "aided").text).toBe("");
});

test("a likelihood of nought is not the same as none", () => {
  const empty = { likelihoods: {}, conclusion: null, text: "" };
  expect(same(empty, { ...empty })).toBe(true);
  expect(same(empty, { ...empty, likelihoods: { "covid-19": 0 } })).toBe(false);
});

test("the reader is asked about the models' patterns, each once", () => {
  expect(asked([{ labels: ["covid-19", "normal"] }, { labels: ["covid-19", "pneumonia"] }])).toEqual([
    "covid-19",
    "pneumonia",
  ]);
});
