// The page's side of the worker.

import { type Answered, DAMAGED, type Failed, type Loaded, type Measured, type Reply, type Request } from "./messages";
import { DownloadProblem, listKept } from "./store";

/** What the worker could not do. */
export class DeviceProblem extends Error {
  readonly code: string;
  readonly values: Record<string, string | number>;
  constructor({ code, values, message }: Failed) {
    super(message);
    this.code = code;
    this.values = values;
  }
}

let worker: Worker | null = null;
let next = 0;
const waiting = new Map<number, { resolve: (reply: Reply) => void; reject: (error: unknown) => void }>();

function start(): Worker {
  if (worker) return worker;
  const made = new Worker(new URL("./device.worker.ts", import.meta.url), { type: "module" });
  made.onmessage = ({ data }: MessageEvent<{ id: number; reply: Reply }>) => {
    waiting.get(data.id)?.resolve(data.reply);
    waiting.delete(data.id);
  };
  made.onerror = (event) => {
    // It is gone, with all that it held: the next request starts another one.
    for (const { reject } of waiting.values()) reject(new Error(event.message || "the worker has stopped"));
    waiting.clear();
    made.terminate();
    worker = null;
  };
  worker = made;
  return made;
}

async function ask<R extends Reply>(request: Request): Promise<R> {
  const id = next++;
  const reply = await new Promise<Reply>((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    start().postMessage({ id, request });
  });
  if (reply.kind === "failed")
    throw reply.code === DAMAGED ? new DownloadProblem("damaged", reply.message) : new DeviceProblem(reply);
  return reply as R;
}

let ready: { key: string; done: Promise<Loaded> } | null = null;

/** Load gatekeeper, lungs and these classifiers, of those that are kept; a second call with the same ones waits. */
export function loadModels(identities: readonly string[]): Promise<Loaded> {
  const key = [...identities].sort().join();
  if (ready?.key === key && worker) return ready.done;
  const done = listKept().then((kept) =>
    ask<Loaded>({
      kind: "load",
      bundles: kept.filter((bundle) => bundle.role !== "classifier" || identities.includes(bundle.identity)),
    }),
  );
  ready = { key, done };
  done.catch(() => {
    ready = null;
  });
  return done;
}

/** Return what these classifiers say of a file. */
export async function predict(
  file: Uint8Array<ArrayBuffer>,
  models: string[],
  options: { camera?: boolean; override?: boolean; depth?: number } = {},
): Promise<Answered> {
  await loadModels(models);
  const { camera = false, override = false, depth } = options;
  return ask<Answered>({ kind: "predict", file, models, camera, override, ...(depth === undefined ? {} : { depth }) });
}

/** Return what one classifier's graph gives for a file by itself, without gatekeeper. */
export async function measure(file: Uint8Array<ArrayBuffer>, model: string): Promise<Measured> {
  await loadModels([model]);
  return ask<Measured>({ kind: "measure", file, model });
}
