// Graphs in ONNX Runtime's WebAssembly build: in this worker, or in a worker beside it.

import ortScript from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import * as ort from "onnxruntime-web/wasm";
import { WorkerCalls } from "./calls";
import type { Plane } from "./picture";

export type Values = Record<string, { data: Float32Array; dims: readonly number[] }>;

/** A loaded graph. */
export interface Graph {
  readonly inputs: readonly string[];
  /** It runs in another worker, so that this one can do something else at the same time. */
  readonly beside: boolean;
  run: (plane: Plane, outputs: string[], lungs?: Plane) => Promise<Values>;
  release: () => Promise<void>;
}

/** Set up ONNX Runtime in this worker; `binary` is its WebAssembly, which the page has kept. */
export function startRuntime(threads: number, binary: Uint8Array<ArrayBuffer>): void {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = { mjs: new URL(ortScript, import.meta.url).href };
  ort.env.wasm.wasmBinary = binary;
  ort.env.logLevel = "error";
}

/** Give the 14 MB of the WebAssembly back once it is compiled: ONNX Runtime would hold them as long as it lives. */
function releaseBinary(): void {
  const { wasmBinary } = ort.env.wasm;
  if (!(wasmBinary instanceof Uint8Array) || !(wasmBinary.buffer instanceof ArrayBuffer)) return;
  delete ort.env.wasm.wasmBinary;
  structuredClone(wasmBinary.buffer, { transfer: [wasmBinary.buffer] }); // what was moved is freed with its new owner
}

export const RUNTIME = `onnxruntime-web ${ort.env.versions.web}, WebAssembly`;

/** A graph in this worker. */
export class OwnGraph implements Graph {
  readonly beside = false;
  readonly #session: ort.InferenceSession;
  private constructor(session: ort.InferenceSession) {
    this.#session = session;
  }

  static async load(model: Uint8Array): Promise<OwnGraph> {
    // As on the server: no memory is kept for every size of image that was met.
    const session = await ort.InferenceSession.create(model, {
      executionProviders: ["wasm"],
      enableCpuMemArena: false,
      enableMemPattern: false,
      graphOptimizationLevel: "all",
      logSeverityLevel: 4,
    });
    releaseBinary();
    return new OwnGraph(session);
  }

  get inputs(): readonly string[] {
    return this.#session.inputNames;
  }

  async run(plane: Plane, outputs: string[], lungs?: Plane): Promise<Values> {
    const feeds: Record<string, ort.Tensor> = { image: toTensor(plane) };
    if (lungs) feeds.lungs = toTensor(lungs);
    const fetched = await this.#session.run(feeds, outputs);
    return Object.fromEntries(
      Object.entries(fetched).map(([name, { data, dims }]) => [name, { data: data as Float32Array, dims }]),
    );
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

function toTensor({ width, height, values }: Plane): ort.Tensor {
  return new ort.Tensor("float32", values, [1, 1, height, width]);
}

export type GraphRequest =
  | { kind: "start"; threads: number; binary: Uint8Array<ArrayBuffer> }
  | { kind: "load"; graph: number; model: Uint8Array<ArrayBuffer> }
  | { kind: "run"; graph: number; plane: Plane; outputs: string[]; lungs?: Plane }
  | { kind: "release"; graph: number };
export type GraphReply = { inputs: readonly string[] } | Values | { problem: string } | null;

/** The worker beside this one. */
export class GraphWorker {
  readonly #calls: WorkerCalls<GraphRequest, GraphReply>;
  #graphs = 0;

  /** `binary` moves to that worker. */
  constructor(threads: number, binary: Uint8Array<ArrayBuffer>) {
    this.#calls = new WorkerCalls(new Worker(new URL("./graph.worker.ts", import.meta.url), { type: "module" }));
    this.#ask({ kind: "start", threads, binary }, [binary.buffer]).catch(() => undefined); // what is asked next says so
  }

  async load(model: Uint8Array<ArrayBuffer>): Promise<Graph> {
    const graph = this.#graphs++;
    const loaded = await this.#ask({ kind: "load", graph, model }, [model.buffer]);
    return {
      inputs: (loaded as { inputs: readonly string[] }).inputs,
      beside: true,
      run: async (plane, outputs, lungs) =>
        (await this.#ask({ kind: "run", graph, plane, outputs, ...(lungs ? { lungs } : {}) })) as Values,
      release: async () => void (await this.#ask({ kind: "release", graph })),
    };
  }

  async #ask(request: GraphRequest, moved: Transferable[] = []): Promise<GraphReply> {
    const reply = await this.#calls.ask(request, moved);
    if (reply && "problem" in reply) throw new Error(String(reply.problem));
    return reply;
  }
}
