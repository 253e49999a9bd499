// What is being uploaded: files wait, go out a few at a time, and keep what became of them. It goes on while other pages
// are open. A full server is waited for, as long as it says; the same file sent twice is one image there, so sending
// again is always safe.
import { computed, signal } from "@preact/signals";
import { about, Problem, type Refusal } from "../../api/client";
import { forgetWith } from "../../api/drafts";
import type { Upload } from "../../api/types";
import { type Sending, send } from "../../api/upload";

type Outcome = Upload["files"][number];
export type Fate = "waiting" | "sending" | "accepted" | "duplicate" | "refused" | "failed" | "several";
export interface Item {
  number: number;
  /** Stays on this machine. */
  name: string;
  bytes: number;
  fate: Fate;
  /** Kept until the server has it. */
  file: File | null;
  study: string | null;
  /** Why it was refused, or did not go out. */
  problem: Refusal | null;
  /** Of an archive: what became of each file in it. */
  members: Outcome[];
}

const AT_ONCE = 16;
const BYTES_AT_ONCE = 48 * 2 ** 20;
const TRIES = 30;

export const items = signal<Item[]>([]);
/** Share of the current request's bytes that has gone out; null while nothing is sent. */
export const share = signal<number | null>(null);
/** Until when (ms) a full server is waited for; null while it takes files. */
export const waiting = signal<number | null>(null);
/** Called with the studies that an upload has brought. */
export const arrived = signal<number>(0);
export const busy = computed(() => items.value.some((item) => item.fate === "waiting" || item.fate === "sending"));

forgetWith(() => {
  stop();
  items.value = []; // names of files may name patients
});

let count = 0;
let running = false;
let current: Sending | null = null;
let models: string[] = [];

/** Take files to be sent, and the models to ask about them. */
export function upload(files: File[], asked: string[]): void {
  models = asked;
  const limits = about.value?.limits ?? {};
  const most = (file: File) => limits[isArchive(file) ? "request_bytes" : "file_bytes"] ?? Number.POSITIVE_INFINITY;
  const refused = (code: string, values = {}) => ({ fate: "refused", problem: why(code, values) }) as const;
  const taken = files.map((file): Item => {
    count += 1;
    const item = { number: count, name: file.name, bytes: file.size, file, study: null, members: [] };
    if (file.size === 0) return { ...item, ...refused("empty") };
    if (file.size > most(file)) return { ...item, ...refused("too-large", { limit_mib: most(file) / 2 ** 20 }) };
    return { ...item, fate: "waiting", problem: null };
  });
  items.value = [...items.value, ...taken];
  void run();
}

/** Send what failed again. */
export function again(): void {
  items.value = items.value.map((item) =>
    item.fate === "failed" ? { ...item, fate: "waiting", problem: null } : item,
  );
  void run();
}

/** Stop sending; what has not gone out is forgotten. */
export function stop(): void {
  items.value = items.value.filter((item) => item.fate !== "waiting");
  waiting.value = null;
  current?.stop();
}

/** Clear the list of what is done. */
export function clear(): void {
  items.value = items.value.filter((item) => item.fate === "waiting" || item.fate === "sending");
}

/** Return the next items for one request: an archive alone, other files until there are enough of them. */
export function batch(from: Item[]): Item[] {
  const ready = from.filter((item) => item.fate === "waiting");
  const first = ready[0];
  if (!first) return [];
  if (isArchive(first)) return [first];
  const taken: Item[] = [];
  let bytes = 0;
  for (const item of ready) {
    if (isArchive(item)) break;
    if (taken.length > 0 && (taken.length >= AT_ONCE || bytes + item.bytes > BYTES_AT_ONCE)) break;
    taken.push(item);
    bytes += item.bytes;
  }
  return taken;
}

async function run(): Promise<void> {
  if (running) return;
  running = true;
  try {
    for (let next = batch(items.value); next.length > 0; next = batch(items.value)) await deliver(next);
  } finally {
    running = false;
    share.value = null;
  }
}

async function deliver(sent: Item[]): Promise<void> {
  const numbers = new Set(sent.map((item) => item.number));
  change(numbers, () => ({ fate: "sending" }));
  for (let tried = 1; ; tried += 1) {
    share.value = 0;
    current = send(
      sent.map((item) => item.file as File),
      models,
      (gone) => {
        share.value = gone;
      },
    );
    try {
      settle(sent, (await current.done).files);
      arrived.value += 1;
      return;
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, "", String(error), "");
      const wait = problem.more.wait;
      if (typeof wait === "number" && tried < TRIES && (await patience(wait))) continue;
      fail(sent, numbers, problem);
      return;
    } finally {
      current = null;
    }
  }
}

/** Wait as long as the server asks; false where the reader stops it meanwhile. */
async function patience(seconds: number): Promise<boolean> {
  waiting.value = Date.now() + seconds * 1000;
  while (waiting.value !== null && Date.now() < waiting.value) await new Promise((done) => setTimeout(done, 250));
  const kept = waiting.value !== null;
  waiting.value = null;
  return kept;
}

function fail(sent: Item[], numbers: Set<number>, problem: Problem): void {
  const files = problem.more.files;
  if (problem.status === 422 && Array.isArray(files)) {
    settle(sent, files as Outcome[]);
    return;
  }
  if (problem.status === 413 && sent.length > 1) {
    change(numbers, one); // each alone may still fit
    return;
  }
  const refused = problem.status === 413 || problem.status === 422;
  change(numbers, () => ({ fate: refused ? "refused" : "failed", problem }));
  if (refused) return;
  // What stops one request stops the next: the rest waits for the reader.
  const rest = items.value.filter((item) => item.fate === "waiting").map((item) => item.number);
  change(new Set(rest), () => ({ fate: "failed", problem }));
}

/** Send an item by itself: it comes back to the queue as if it were as large as a request may be. */
function one(item: Item): Partial<Item> {
  return { fate: "waiting", bytes: Math.max(item.bytes, BYTES_AT_ONCE) };
}

/** Put what became of each file to the item that it came from: "file 2" is the second, "file 2, member 7" in it. */
export function settle(sent: Item[], outcomes: Outcome[]): void {
  sent.forEach((item, index) => {
    const own = `file ${index + 1}`;
    const members = outcomes.filter(({ file }) => file.startsWith(`${own}, `));
    const found = outcomes.find(({ file }) => file === own);
    change(new Set([item.number]), () => {
      if (found) return { ...single(found), file: null };
      return { fate: "several", members, study: null, file: null };
    });
  });
}

function single(outcome: Outcome): Partial<Item> {
  return {
    fate: outcome.status,
    study: outcome.study ?? null,
    problem: outcome.problem ? whyRefused(outcome) : null,
  };
}

/** Return why a file was refused. */
export function whyRefused({ code, values, problem }: Outcome): Refusal {
  return why(code ?? "", values ?? {}, problem ?? "");
}

function why(code: string, values: Record<string, unknown>, message = ""): Refusal {
  return { key: `file.${code}`, values, message };
}

function change(numbers: Set<number>, to: (item: Item) => Partial<Item>): void {
  items.value = items.value.map((item) => (numbers.has(item.number) ? { ...item, ...to(item) } : item));
}

function isArchive(file: { name: string }): boolean {
  return /\.zip$/i.test(file.name);
}
