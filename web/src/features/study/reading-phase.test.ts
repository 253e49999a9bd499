import { expect, test } from "vitest";
import type { Read } from "../../api/types";
import { findPhase, initialDraft, isSameDraft, labelsToRead, mayShowAnswers } from "./reading-phase";

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
const standing = { reads: [] as Read[], reader: "me", readsFirst: false, answersShown: false, readingFirst: false };

test("nothing is fetched before the reader has chosen or locked", () => {
  expect(findPhase(standing)).toBe("choice");
  expect(findPhase({ ...standing, readingFirst: true })).toBe("unaided");
  expect(findPhase({ ...standing, reads: [read({})] })).toBe("unaided");
  expect(findPhase({ ...standing, readsFirst: true, answersShown: true })).toBe("unaided");
  expect(findPhase({ ...standing, readsFirst: true, reads: [read({ state: "final", reader: "other" })] })).toBe(
    "unaided",
  );
  for (const phase of ["choice", "unaided"] as const) expect(mayShowAnswers(phase)).toBe(false);
});

test("after the lock, or after a showing, the report is aided; then it is done", () => {
  expect(findPhase({ ...standing, answersShown: true })).toBe("aided");
  expect(findPhase({ ...standing, readsFirst: true, reads: [read({ state: "final" })] })).toBe("aided");
  const final = read({ stage: "aided", state: "final", version: 2 });
  expect(findPhase({ ...standing, reads: [read({ state: "final" }), final] })).toBe("done");
});

test("a form begins with its newest version, the report with the unaided read", () => {
  const first = read({ text: "a" });
  const second = read({ text: "b", version: 2, state: "final", conclusion: "covid-19" });
  expect(initialDraft([second, first], "me", "unaided").text).toBe("b");
  expect(initialDraft([first, second], "me", "aided").conclusion).toBe("covid-19");
  expect(initialDraft([read({ reader: "other", text: "theirs" })], "me", "aided").text).toBe("");
});

test("a likelihood of nought is not the same as none", () => {
  const empty = { likelihoods: {}, conclusion: null, text: "" };
  expect(isSameDraft(empty, { ...empty })).toBe(true);
  expect(isSameDraft(empty, { ...empty, likelihoods: { "covid-19": 0 } })).toBe(false);
});

test("the reader is asked about the models' patterns, each once", () => {
  expect(labelsToRead([{ labels: ["covid-19", "normal"] }, { labels: ["covid-19", "pneumonia"] }])).toEqual([
    "covid-19",
    "pneumonia",
  ]);
});
