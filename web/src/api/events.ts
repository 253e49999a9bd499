// What changes on the server, as it changes: kinds and identifiers only, so every page fetches what it may see itself.
export interface Change {
  kind: "study" | "prediction" | "read";
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
  source ??= open();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      source?.close();
      source = null;
    }
  };
}

function open(): EventSource {
  const stream = new EventSource("/api/events"); // the browser reconnects and sends the last id
  for (const kind of ["study", "prediction", "read"] as const) {
    stream.addEventListener(kind, (event) => {
      const change = { kind, ...JSON.parse((event as MessageEvent<string>).data) } as Change;
      for (const listener of listeners) listener(change);
    });
  }
  return stream;
}
