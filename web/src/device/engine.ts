// The page's side of the worker.

import { WorkerCalls } from "./calls";
import { type Answered, DAMAGED, type Failed, type Loaded, type Measured, type Reply, type Request } from "./messages";
import rules from "./rules.json";
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

let calls: WorkerCalls<Request, Reply> | null = null;

async function ask<R extends Reply>(request: Request): Promise<R> {
  // After a failure the next request starts another worker.
  calls ??= new WorkerCalls(new Worker(new URL("./device.worker.ts", import.meta.url), { type: "module" }), () => {
    calls = null;
  });
  const reply = await calls.ask(request).catch((error: Error): Failed => {
    return { kind: "failed", code: "error", values: {}, message: error.message };
  });
  if (reply.kind === "failed")
    throw reply.code === DAMAGED ? new DownloadProblem("damaged", reply.message) : new DeviceProblem(reply);
  return reply as R;
}

/** Read a file that was chosen; one beyond the limit is refused before it is read. */
export async function readFile(file: File): Promise<Uint8Array<ArrayBuffer>> {
  if (file.size > rules.maxBytes)
    throw new DeviceProblem({
      kind: "failed",
      code: "too-large",
      values: { limit_mib: rules.maxBytes / 2 ** 20 },
      message: `it has ${Math.ceil(file.size / 2 ** 20)} MiB`,
    });
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new DeviceProblem({ kind: "failed", code: "unreadable", values: {}, message: String(error) });
  }
}

let ready: { key: string; done: Promise<Loaded> } | null = null;

/** Load gatekeeper, lungs and these classifiers, of those that are kept; a second call with the same ones waits. */
export function loadModels(identities: readonly string[]): Promise<Loaded> {
  const key = [...identities].sort().join();
  if (ready?.key === key && calls) return ready.done;
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
