// What changes on the server, as it changes: kinds and identifiers only, so every page fetches what it may see itself.
export interface Change {
  kind: "study" | "prediction" | "read";
  /** Empty after a break in which changes may have been missed: look at everything again. */
  study: string;
  id: string;
  state: string;
}
type Listener = (change: Change) => void;

const listeners = new Set<Listener>();
let source: EventSource | null = null;

/** Call `listener` at each change until the returned function is called. The stream is open while anyone listens. */
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

/** Milliseconds after which a stream that the server has refused is tried again. */
const RETRY_DELAY = 15_000;

function openStream(): EventSource {
  const stream = new EventSource("/api/events"); // the browser reconnects after a break, and sends the last id
  for (const kind of ["study", "prediction", "read"] as const) {
    stream.addEventListener(kind, (event) => {
      notify({ kind, ...JSON.parse((event as MessageEvent<string>).data) } as Change);
    });
  }
  stream.onerror = () => {
    // Refused for good, say for too many streams: the browser gives up, we ask now and then.
    if (stream.readyState !== EventSource.CLOSED) return;
    setTimeout(() => {
      if (source !== stream) return;
      source = openStream();
      notify({ kind: "study", study: "", id: "", state: "missed" });
    }, RETRY_DELAY);
  };
  return stream;
}

function notify(change: Change): void {
  for (const listener of listeners) listener(change);
}
