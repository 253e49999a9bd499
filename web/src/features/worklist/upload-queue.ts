// The upload queue: files wait, are sent a few at a time, and keep their outcomes. It runs while other pages are open.
// If the server is full, the queue waits as long as the server says. The server stores a repeated file once, so sending
// again is always safe.
import { computed, signal } from "@preact/signals";
import { about, PROBLEM_TYPE_PREFIX, Problem, type Refusal } from "../../api/client";
import { onDraftsForgotten } from "../../api/drafts";
import type { Upload } from "../../api/types";
import { sendFiles, type Transfer } from "../../api/upload";
import { readZipNames } from "./zip-names";

type FileOutcome = Upload["files"][number];
export type UploadOutcome = "waiting" | "sending" | "accepted" | "duplicate" | "refused" | "failed" | "several";
export interface UploadItem {
  number: number;
  name: string;
  bytes: number;
  outcome: UploadOutcome;
  /** The file until the server has it. */
  file: File | null;
  study: string | null;
  /** Why the file was refused or not sent. */
  problem: Refusal | null;
  /** The outcome of each file in an archive. */
  members: FileOutcome[];
  /** The names of these files. */
  memberNames?: string[];
}

const MAX_FILES = 16;
const MAX_BYTES = 48 * 2 ** 20;
const MAX_ATTEMPTS = 30;

export const items = signal<UploadItem[]>([]);
/** The share of the current request's bytes that is sent; null while nothing is sent. */
export const sentShare = signal<number | null>(null);
/** The time (ms) until which the queue waits for a full server; null otherwise. */
export const waitingUntil = signal<number | null>(null);
/** How far the files of the current run are: those that were chosen since the queue was last idle. */
export const progress = computed(() => countProgress(items.value, firstOfRun.value));
const firstOfRun = signal(1);

/** Return how many files from a number on there are, and how many of them have their outcome. */
export function countProgress(list: UploadItem[], first: number): { done: number; all: number } {
  const run = list.filter(({ number }) => number >= first);
  return { done: run.filter((item) => !isUnsent(item)).length, all: run.length };
}

/** Return the files of the current run. */
export function listRun(): UploadItem[] {
  return items.value.filter(({ number }) => number >= firstOfRun.value);
}

/** How many requests have brought studies; it changes when the worklist has something to fetch. */
export const finishedUploads = signal<number>(0);
export const busy = computed(() =>
  items.value.some((item) => item.outcome === "waiting" || item.outcome === "sending"),
);

onDraftsForgotten(() => {
  current?.stop();
  waitingUntil.value = null;
  items.value = []; // file names may name patients
});

let count = 0;
let running = false;
let current: Transfer | null = null;
let models: string[] = [];

/** Add files to the queue, with the models to ask about them. */
export function enqueueFiles(files: File[], chosenModels: string[]): void {
  models = chosenModels;
  if (!busy.value) firstOfRun.value = count + 1;
  const limits = about.value?.limits ?? {};
  const maxBytes = (file: File) => limits[isArchive(file) ? "request_bytes" : "file_bytes"] ?? Number.POSITIVE_INFINITY;
  const refuse = (code: string, values = {}) => ({ outcome: "refused", problem: createRefusal(code, values) }) as const;
  const added = files.map((file): UploadItem => {
    count += 1;
    const item = { number: count, name: file.name, bytes: file.size, file, study: null, members: [] };
    if (file.size === 0) return { ...item, ...refuse("empty") };
    if (file.size > maxBytes(file)) return { ...item, ...refuse("too-large", { limit_mib: maxBytes(file) / 2 ** 20 }) };
    return { ...item, outcome: "waiting", problem: null };
  });
  items.value = [...items.value, ...added];
  void run();
}

/** Send what failed again. */
export function retryFailed(): void {
  firstOfRun.value = Math.min(...findNumbers(items.value, "failed"));
  items.value = items.value.map((item) =>
    item.outcome === "failed" ? { ...item, outcome: "waiting", problem: null } : item,
  );
  void run();
}

/** Stop sending. The files that wait stay in the list, so that they can be sent again. */
export function stopUploads(): void {
  const problem = new Problem(-1, "", "stopped", "", { type: `${PROBLEM_TYPE_PREFIX}stopped` });
  updateItems(findNumbers(items.value, "waiting"), () => ({ outcome: "failed", problem }));
  waitingUntil.value = null;
  current?.stop();
}

/** Remove finished files from the list. What was not sent stays. */
export function clearFinished(): void {
  items.value = items.value.filter(isUnsent);
}

/** Remove what was not sent: the reader has decided against it. */
export function discardUnsent(): void {
  items.value = items.value.filter((item) => item.outcome !== "failed");
}

/** Return whether the server does not have a file that it could take. */
export function isUnsent({ outcome }: UploadItem): boolean {
  return outcome === "waiting" || outcome === "sending" || outcome === "failed";
}

function findNumbers(list: UploadItem[], outcome: UploadOutcome): Set<number> {
  return new Set(list.filter((item) => item.outcome === outcome).map((item) => item.number));
}

/** Return the items of the next request: one archive, or other files up to the limits of a request. */
export function nextBatch(from: UploadItem[]): UploadItem[] {
  const ready = from.filter((item) => item.outcome === "waiting");
  const first = ready[0];
  if (!first) return [];
  if (isArchive(first)) return [first];
  const batch: UploadItem[] = [];
  let bytes = 0;
  for (const item of ready) {
    if (isArchive(item)) break;
    if (batch.length > 0 && (batch.length >= MAX_FILES || bytes + item.bytes > MAX_BYTES)) break;
    batch.push(item);
    bytes += item.bytes;
  }
  return batch;
}

async function run(): Promise<void> {
  if (running) return;
  running = true;
  try {
    for (let next = nextBatch(items.value); next.length > 0; next = nextBatch(items.value)) await sendBatch(next);
  } finally {
    running = false;
    sentShare.value = null;
  }
}

async function sendBatch(sent: UploadItem[]): Promise<void> {
  const numbers = new Set(sent.map((item) => item.number));
  updateItems(numbers, () => ({ outcome: "sending" }));
  const archive = sent.find(isArchive)?.file;
  if (archive) {
    const memberNames = await readZipNames(archive).catch(() => []);
    updateItems(numbers, () => ({ memberNames }));
  }
  for (let attempt = 1; ; attempt += 1) {
    sentShare.value = 0;
    current = sendFiles(
      sent.map((item) => item.file as File),
      models,
      (fraction) => {
        sentShare.value = fraction;
      },
    );
    try {
      recordOutcomes(sent, (await current.done).files);
      finishedUploads.value += 1;
      return;
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, "", String(error), "");
      const wait = problem.extensions.wait;
      if (typeof wait === "number" && attempt < MAX_ATTEMPTS && (await waitForServer(wait))) continue;
      fail(sent, numbers, problem);
      return;
    } finally {
      current = null;
    }
  }
}

/** Wait as long as the server asks; return false if the reader stops the upload meanwhile. */
async function waitForServer(seconds: number): Promise<boolean> {
  waitingUntil.value = Date.now() + seconds * 1000;
  while (waitingUntil.value !== null && Date.now() < waitingUntil.value)
    await new Promise((done) => setTimeout(done, 250));
  const continued = waitingUntil.value !== null;
  waitingUntil.value = null;
  return continued;
}

function fail(sent: UploadItem[], numbers: Set<number>, problem: Problem): void {
  const files = problem.extensions.files;
  if (problem.status === 422 && Array.isArray(files)) {
    recordOutcomes(sent, files as FileOutcome[]);
    return;
  }
  if (problem.status === 413 && sent.length > 1) {
    updateItems(numbers, resendAlone); // each alone may still fit
    return;
  }
  const refused = problem.status === 413 || problem.status === 422;
  updateItems(numbers, () => ({ outcome: refused ? "refused" : "failed", problem }));
  if (refused) return;
  // The next request would fail in the same way, so the rest waits for the reader.
  updateItems(findNumbers(items.value, "waiting"), () => ({ outcome: "failed", problem }));
}

/** Queue an item for a request of its own, by giving it the size of a full request. */
function resendAlone(item: UploadItem): Partial<UploadItem> {
  return { outcome: "waiting", bytes: Math.max(item.bytes, MAX_BYTES) };
}

/** Assign each outcome to its item: "file 2" is the second item, "file 2, member 7" is a file in it. */
export function recordOutcomes(sent: UploadItem[], outcomes: FileOutcome[]): void {
  sent.forEach((item, index) => {
    const own = `file ${index + 1}`;
    const members = outcomes.filter(({ file }) => file.startsWith(`${own}, `));
    const single = outcomes.find(({ file }) => file === own);
    updateItems(new Set([item.number]), () => {
      if (single) return { ...toItem(single), file: null };
      return { outcome: "several", members, study: null, file: null };
    });
  });
}

function toItem(outcome: FileOutcome): Partial<UploadItem> {
  return {
    outcome: outcome.status,
    study: outcome.study ?? null,
    problem: outcome.problem ? explainRefusal(outcome) : null,
  };
}

/** Return why a file was refused. */
export function explainRefusal({ code, values, problem }: FileOutcome): Refusal {
  return createRefusal(code ?? "", values ?? {}, problem ?? "");
}

function createRefusal(code: string, values: Record<string, unknown>, message = ""): Refusal {
  return { key: `file.${code}`, values, message };
}

function updateItems(numbers: Set<number>, to: (item: UploadItem) => Partial<UploadItem>): void {
  items.value = items.value.map((item) => (numbers.has(item.number) ? { ...item, ...to(item) } : item));
}

function isArchive(file: { name: string }): boolean {
  return /\.zip$/i.test(file.name);
}
