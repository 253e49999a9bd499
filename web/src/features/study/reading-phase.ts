// The phase of a reader with a study: what they may write, and whether the models' answers may be fetched.
// Fetching an answer counts as seeing it, and makes an unaided read impossible.
import type { Read, ReadDraft } from "../../api/types";

export type Phase =
  /** Free mode, no answer seen and no read started: the reader chooses. */
  | "choice"
  /** The reader's own read comes first; no answer is fetched. */
  | "unaided"
  /** Answers are shown; the report is still open. */
  | "aided"
  /** The report is final: addenda only. */
  | "done";

interface ReadingState {
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

/** Return the phase of a reader. */
export function findPhase({ reads, reader, readsFirst, answersShown, readingFirst }: ReadingState): Phase {
  const own = reads.filter((read) => read.reader === reader);
  if (own.some((read) => read.stage === "aided" && read.state === "final")) return "done";
  if (isUnaidedLocked(own, reader)) return "aided";
  if (readsFirst) return "unaided";
  if (answersShown || own.some((read) => read.stage === "aided" || read.displayed.length > 0)) return "aided";
  return readingFirst || own.length > 0 ? "unaided" : "choice";
}

/** Return whether answers may be fetched. Other phases send no request that would count as showing an answer. */
export const mayShowAnswers = (phase: Phase): boolean => phase === "aided" || phase === "done";

/** A read that is not sent yet. A label without a likelihood is missing: the sliders start without a value. */
export interface Draft {
  likelihoods: Record<string, number>;
  conclusion: string | null;
  text: string;
}

const EMPTY: Draft = { likelihoods: {}, conclusion: null, text: "" };

/** Return the initial content of a stage's form: its newest own version, else the unaided read. */
export function initialDraft(reads: readonly Read[], reader: string, stage: ReadDraft["stage"]): Draft {
  const own = reads
    .filter((read) => read.reader === reader && read.state !== "addendum")
    .sort((a, b) => a.version - b.version);
  const last = own.filter((read) => read.stage === stage).at(-1) ?? (stage === "aided" ? own.at(-1) : undefined);
  return last ? { likelihoods: last.likelihoods, conclusion: last.conclusion, text: last.text } : EMPTY;
}

/** Return whether two drafts have the same content. */
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
