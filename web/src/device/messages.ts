// What page and worker say to each other. Pixels of a file go from the page to its own worker, and nowhere else.
import type { ListedBundle } from "./bundle";

export interface LoadRequest {
  kind: "load";
  /** Kept bundles: gatekeeper, lungs and the classifiers that are to be asked. */
  bundles: ListedBundle[];
}
export interface PredictRequest {
  kind: "predict";
  file: Uint8Array<ArrayBuffer>;
  /** Identities of the classifiers. */
  models: string[];
  /** The picture comes from the camera button. */
  camera: boolean;
  /** Ask the classifiers also about a photograph. */
  override: boolean;
  depth?: number;
}
/** Run one classifier's graph by itself, without gatekeeper: for a certificate (`certify --browser`). */
export interface MeasureRequest {
  kind: "measure";
  file: Uint8Array<ArrayBuffer>;
  model: string;
  depth?: number;
}
export type Request = LoadRequest | PredictRequest | MeasureRequest;

export interface Map2d {
  width: number;
  height: number;
  values: Float32Array;
}

/** The outcome of one model, as plain values. */
export interface Answer {
  identity: string;
  probabilities: number[];
  decision: string | null;
  refused: boolean;
  codes: string[];
  ood: number | null;
  heatmap: Map2d[];
  border: { top: number; bottom: number; left: number; right: number } | null;
  seconds: number;
}

export interface Answered {
  kind: "answered";
  width: number;
  height: number;
  format: string;
  sha256: string;
  photograph: boolean;
  /** A small picture for the page, 8 bits, 0 = black. */
  preview: { width: number; height: number; values: Uint8Array };
  lungs: { side: number; rows: number[][] } | null;
  answers: Answer[];
  /** Milliseconds. */
  times: { decode: number; pipeline: number };
}
export interface Loaded {
  kind: "loaded";
  milliseconds: number;
  threads: number;
  /** What runs the graphs, in words. */
  engine: string;
}
export interface Measured {
  kind: "measured";
  sha256: string;
  probabilities: number[];
  ood: number;
  /** Of the graph, without reading the file. */
  milliseconds: number;
}
/** The code of a kept file that is damaged. */
export const DAMAGED = "kept-damaged";

export interface Failed {
  kind: "failed";
  /** A code of a file (`file.CODE`), DAMAGED, or "error". */
  code: string;
  values: Record<string, string | number>;
  message: string;
}
export type Reply = Loaded | Answered | Measured | Failed;
