// The answers that this browser keeps (IndexedDB): what each network said of an image, and no image.
import type { Answer } from "../../device/messages";

/** One image that was asked about. */
export interface Entry {
  id: number;
  /** ISO 8601. */
  at: string;
  file: string;
  sha256: string;
  width: number;
  height: number;
  photograph: boolean;
  /** Name and version by identity: a network may be gone when the entry is read. */
  names: Record<string, string>;
  /** Label names in the order of the probabilities, by identity. */
  labels: Record<string, string[]>;
  answers: Omit<Answer, "heatmap">[];
  times: { decode: number; pipeline: number };
}

const [NAME, STORE] = ["pneumoscope-device", "answers"];

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function run<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

export async function addEntry(entry: Omit<Entry, "id">): Promise<void> {
  await run("readwrite", (store) => store.add(entry));
}

/** Return all entries, the newest first. */
export async function listEntries(): Promise<Entry[]> {
  return ((await run("readonly", (store) => store.getAll())) as Entry[]).reverse();
}

export async function eraseEntry(id: number): Promise<void> {
  await run("readwrite", (store) => store.delete(id));
}

export async function eraseAll(): Promise<void> {
  await run("readwrite", (store) => store.clear());
}

/** Return entries as a JSON file, with the disclaimer. */
export function exportEntries(entries: readonly Entry[], disclaimer: string): string {
  const images = entries.map(({ id: _, file, sha256, answers, labels, names, ...rest }) => ({
    ...rest,
    path: file,
    sha256,
    answers: answers.map(({ identity, probabilities, ...answer }) => ({
      model: identity,
      name: names[identity] ?? "",
      ...answer,
      probabilities: Object.fromEntries(probabilities.map((p, k) => [labels[identity]?.[k] ?? String(k), p])),
    })),
  }));
  const made = { software: "pneumoscope-device", schema_version: 1, disclaimer, browser: navigator.userAgent };
  return `${JSON.stringify({ ...made, images }, null, 2)}\n`;
}
