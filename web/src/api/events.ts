// The server's stream of changes. It holds kinds and identifiers only; each page fetches what its user may see.
import { effect } from "@preact/signals";
import { serverGone, suspectServer } from "./connection";

export interface Change {
  kind: "study" | "prediction" | "read";
  /** Empty after an interruption in which changes may have been missed: reload everything. */
  study: string;
  id: string;
  state: string;
}
type Listener = (change: Change) => void;

const listeners = new Set<Listener>();
let source: EventSource | null = null;

let wasGone = false;
effect(() => {
  const isGone = serverGone.value;
  if (wasGone && !isGone) notify({ kind: "study", study: "", id: "", state: "missed" });
  wasGone = isGone;
});
globalThis.addEventListener?.("offline", () => void suspectServer());

/** Call `listener` at each change until the returned function is called. The stream is open while it has listeners. */
export function watch(listener: Listener): () => void {
  listeners.add(listener);
  source ??= openStream();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      source?.close();
      source = null;
    }
  };
}

/** Milliseconds until a stream that the server has refused is opened again. */
const RETRY_DELAY = 15_000;

function openStream(): EventSource {
  const stream = new EventSource("/api/events"); // the browser reconnects and sends the last id
  for (const kind of ["study", "prediction", "read"] as const) {
    stream.addEventListener(kind, (event) => {
      notify({ kind, ...JSON.parse((event as MessageEvent<string>).data) } as Change);
    });
  }
  // Changes may have come between what the page fetched and the opening of the stream.
  stream.addEventListener("open", () => notify({ kind: "study", study: "", id: "", state: "missed" }), { once: true });
  stream.onerror = () => {
    void suspectServer();
    // The browser does not retry a refused stream (for example, one of too many), so we do.
    if (stream.readyState !== EventSource.CLOSED) return;
    setTimeout(() => {
      if (source !== stream) return;
      source = openStream();
    }, RETRY_DELAY);
  };
  return stream;
}

function notify(change: Change): void {
  for (const listener of listeners) listener(change);
}
