// Where a reader stands with a study: what they may write, and whether the models' answers may be fetched at all.
// Fetching an answer counts as having been shown it, and ends the possibility of an unaided read for good.
import type { Read, ReadDraft } from "../../api/types";

export type Phase =
  /** Free mode, nothing shown, nothing begun: the reader chooses. */
  | "choice"
  /** The reader's own read comes first; no answer is fetched. */
  | "unaided"
  /** Answers are shown; the report is still open. */
  | "aided"
  /** The report is final: addenda only. */
  | "done";

export interface ReadingState {
  reads: readonly Read[];
  reader: string;
  /** The server withholds answers until the unaided read is locked. */
  readsFirst: boolean;
  /** The reader asked to see the answers, or the server said that they have been shown. */
  answersShown: boolean;
  /** The reader chose to read first, where it is free. */
  readingFirst: boolean;
}

/** Return whether a reader's unaided read is locked. */
export function isUnaidedLocked(reads: readonly Read[], reader: string): boolean {
  return reads.some((read) => read.reader === reader && read.stage === "unaided" && read.state === "final");
}

/** Return where a reader stands. */
export function findPhase({ reads, reader, readsFirst, answersShown, readingFirst }: ReadingState): Phase {
  const own = reads.filter((read) => read.reader === reader);
  if (own.some((read) => read.stage === "aided" && read.state === "final")) return "done";
  if (isUnaidedLocked(own, reader)) return "aided";
  if (readsFirst) return "unaided";
  if (answersShown || own.some((read) => read.stage === "aided" || read.displayed.length > 0)) return "aided";
  return readingFirst || own.length > 0 ? "unaided" : "choice";
}

/** Return whether answers may be fetched: in no other phase is a request sent that would count as a showing. */
export const mayShowAnswers = (phase: Phase): boolean => phase === "aided" || phase === "done";

/** What a reader has entered and not sent yet. A label without a likelihood has none: the sliders start unset. */
export interface Draft {
  likelihoods: Record<string, number>;
  conclusion: string | null;
  text: string;
}

export const EMPTY: Draft = { likelihoods: {}, conclusion: null, text: "" };

/** Return what a form of a stage begins with: the newest own version of it, else what was read unaided. */
export function initialDraft(reads: readonly Read[], reader: string, stage: ReadDraft["stage"]): Draft {
  const own = reads
    .filter((read) => read.reader === reader && read.state !== "addendum")
    .sort((a, b) => a.version - b.version);
  const last = own.filter((read) => read.stage === stage).at(-1) ?? (stage === "aided" ? own.at(-1) : undefined);
  return last ? { likelihoods: last.likelihoods, conclusion: last.conclusion, text: last.text } : EMPTY;
}

/** Return whether two drafts say the same. */
export function isSameDraft(a: Draft, b: Draft): boolean {
  const labels = new Set([...Object.keys(a.likelihoods), ...Object.keys(b.likelihoods)]);
  return (
    a.conclusion === b.conclusion &&
    a.text === b.text &&
    [...labels].every((label) => a.likelihoods[label] === b.likelihoods[label])
  );
}

/** Return the labels that a reader is asked about: those of the models, without the model's own "no pattern". */
export function labelsToRead(models: readonly { labels: readonly string[] }[]): string[] {
  return [...new Set(models.flatMap((model) => model.labels))].filter((label) => label !== "normal");
}
