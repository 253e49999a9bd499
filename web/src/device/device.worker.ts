// The worker that decodes files and runs the networks, so that the page stays responsive. It sends nothing anywhere:
// its only requests are for this app's own scripts and WebAssembly.
import type { ClassifierCard, GatekeeperCard, ListedBundle, LungsCard } from "./bundle";
import { answerInTurn } from "./calls";
import { decode } from "./decode";
import { type Graph, GraphWorker, OwnGraph, RUNTIME, startRuntime } from "./graph";
import { toRuns } from "./lungs";
import {
  type Answer,
  type Answered,
  DAMAGED,
  type Loaded,
  type LoadRequest,
  type Measured,
  type MeasureRequest,
  type PredictRequest,
  type Reply,
  type Request,
} from "./messages";
import { isPhotograph } from "./photograph";
import { FileProblem, type Plane } from "./picture";
import { resize } from "./resample";
import { type Classifier, classify, makeCompanions, type Outcome, Screener } from "./runtime";
import type { Companions } from "./screening";
import { DownloadProblem, discard, readKept, readRuntime } from "./store";

const PREVIEW = 1024; // pixels of the longer side
const MOST_THREADS = 2; // of a worker: more gain little, and wait by spinning

// With two cores or more the classifiers run in a worker of their own, beside gatekeeper and lungs. A worker's threads
// cost half as much again in all, so that they are for devices with cores to spare.
const cores = navigator.hardwareConcurrency || 1;
const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, Math.max(1, Math.floor(cores / 4))) : 1;
const workers = cores > 1 ? 2 : 1;
let beside: GraphWorker | null = null;
let started = false;

/** Start ONNX Runtime from what the page has kept. */
async function start(): Promise<void> {
  if (started) return;
  const binary = await readRuntime();
  if (workers > 1) beside = new GraphWorker(threads, binary.slice());
  startRuntime(threads, binary);
  started = true;
}

interface Part<C> {
  card: C;
  graph: Graph;
}
const graphs = new Map<string, Part<unknown>>();
let companions: Companions | null = null;

async function open<C>(bundle: ListedBundle): Promise<Part<C>> {
  const known = graphs.get(bundle.identity);
  if (known) return known as Part<C>;
  const [card, model] = [await readKept(bundle, "card.json"), await readKept(bundle, "model.onnx")];
  const read = JSON.parse(new TextDecoder().decode(card)) as C & { model_sha256: string };
  // The list's own word is not enough: the card, whose hash is the identity, names the graph.
  if (read.model_sha256 !== bundle.model.sha256) throw await discard(bundle, "bundle.json");
  const elsewhere = bundle.role === "classifier" ? beside : null;
  const part = { card: read as C, graph: await (elsewhere ?? OwnGraph).load(model) };
  graphs.set(bundle.identity, part);
  return part;
}

async function load({ bundles }: LoadRequest): Promise<Loaded> {
  const from = performance.now();
  await start();
  const wanted = new Set(bundles.map((bundle) => bundle.identity));
  for (const [identity, { graph }] of graphs)
    if (!wanted.has(identity)) {
      await graph.release();
      graphs.delete(identity);
    }
  const role = (name: ListedBundle["role"]) => {
    const found = bundles.find((bundle) => bundle.role === name);
    if (!found) throw new Error(`no ${name} is kept`);
    return found;
  };
  companions = makeCompanions(await open<GatekeeperCard>(role("gatekeeper")), await open<LungsCard>(role("lungs")));
  for (const bundle of bundles) if (bundle.role === "classifier") await open<ClassifierCard>(bundle);
  const engine = `${RUNTIME}, ${workers} worker${workers === 1 ? "" : "s"}, threads of each: ${threads}`;
  return { kind: "loaded", milliseconds: performance.now() - from, threads: workers * threads, engine };
}

async function predict({ file, models, camera, override, depth }: PredictRequest): Promise<Answered> {
  if (!companions) throw new Error("nothing is loaded");
  const sha256 = hex(await crypto.subtle.digest("SHA-256", file));
  const start = performance.now();
  const radiograph = await decode(file, depth);
  const decoded = performance.now();
  const photograph = camera || isPhotograph(file);
  const screener = new Screener(companions, radiograph);
  const answers: Answer[] = [];
  let last: Outcome | null = null;
  for (const identity of models) {
    const from = performance.now();
    const part = graphs.get(identity) as Part<ClassifierCard> | undefined;
    if (!part) throw new Error(`${identity.slice(0, 12)} is not loaded`);
    const classifier: Classifier = { identity, ...part };
    const withheld = photograph && !override;
    const outcome = withheld ? refuse(identity) : await classify(classifier, radiograph, screener);
    last = outcome.screening ? outcome : last;
    answers.push(toAnswer(outcome, photograph && override, (performance.now() - from) / 1000));
  }
  const done = performance.now();
  const outlines = last?.screening?.outlines ?? null;
  return {
    kind: "answered",
    width: radiograph.width,
    height: radiograph.height,
    format: radiograph.format,
    sha256,
    photograph,
    preview: makePreview(radiograph),
    lungs: outlines ? toRuns(outlines.selectParts("lungs")) : null,
    answers,
    times: { decode: decoded - start, pipeline: done - decoded },
  };
}

async function measure({ file, model, depth }: MeasureRequest): Promise<Measured> {
  if (!companions) throw new Error("nothing is loaded");
  const part = graphs.get(model) as Part<ClassifierCard> | undefined;
  if (!part) throw new Error(`${model.slice(0, 12)} is not loaded`);
  const radiograph = await decode(file, depth);
  const start = performance.now();
  const outcome = await classify({ identity: model, ...part }, radiograph, new Screener(companions, radiograph), true);
  return {
    kind: "measured",
    sha256: hex(await crypto.subtle.digest("SHA-256", file)),
    probabilities: outcome.probabilities,
    ood: outcome.ood ?? Number.NaN,
    milliseconds: performance.now() - start,
  };
}

function refuse(identity: string): Outcome {
  return {
    identity,
    probabilities: [],
    decision: null,
    refused: true,
    codes: ["photograph"],
    ood: null,
    heatmap: [],
    screening: null,
  };
}

function toAnswer(outcome: Outcome, unmeasured: boolean, seconds: number): Answer {
  const { identity, probabilities, decision, refused, ood, heatmap, screening } = outcome;
  const codes = unmeasured ? ["photograph-unmeasured", ...outcome.codes] : outcome.codes;
  return {
    identity,
    probabilities,
    decision,
    refused,
    codes,
    ood,
    heatmap,
    border: screening?.border ?? null,
    seconds,
  };
}

/** Return a small picture of 8 bits, for the page alone. */
function makePreview(plane: Plane): Answered["preview"] {
  const scale = Math.min(1, PREVIEW / Math.max(plane.width, plane.height));
  const [width, height] = [Math.max(1, Math.round(scale * plane.width)), Math.max(1, Math.round(scale * plane.height))];
  const small = scale < 1 ? resize(plane, width, height, "bilinear") : plane;
  const values = new Uint8Array(width * height);
  for (let k = 0; k < values.length; k++) values[k] = Math.round(255 * (small.values[k] as number));
  return { width, height, values };
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function answer(request: Request): Promise<Reply> {
  if (request.kind === "load") return load(request);
  return request.kind === "predict" ? predict(request) : measure(request);
}

answerInTurn<Request, Reply>(answer, (error) => {
  const problem = error instanceof FileProblem ? error : null;
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof DownloadProblem ? DAMAGED : (problem?.code ?? "error");
  return { kind: "failed", code, values: problem?.values ?? {}, message };
});
