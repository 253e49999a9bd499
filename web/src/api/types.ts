// The server's types, under short names. scripts/web generates schema.ts from the server's OpenAPI description.
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Study = Schemas["StudyOut"];
export type Image = Schemas["ImageOut"];
export type PredictionState = Schemas["PredictionState"];
export type Upload = Schemas["UploadOut"];
export type Model = Schemas["ModelOut"];
export type ModelDetail = Schemas["ModelDetail"];
export type Heatmap = Schemas["HeatmapOut"];
export type Identity = Schemas["IdentityOut"];
export type Read = Schemas["ReadOut"];
export type ReadDraft = Schemas["ReadIn"];
export type Reference = Schemas["ReferenceOut"];
export type ReferenceDraft = Schemas["ReferenceIn"];
export type Posterior = Schemas["PosteriorOut"];
export type OcclusionAnswer = Schemas["WhatIfOut"];
export type Me = Schemas["Me"];
export type About = Schemas["AboutOut"];

/** Lungs or heart on a square over the image: for each row, the first column of a run and the one after its last. */
export interface LungRuns {
  side: number;
  rows: number[][];
}

/** The content of a prediction. The schema leaves it open, because older predictions hold less. */
/** The widths of heart and chest by the outlines: first column, last column and row, as shares of the image. */
export interface CardiothoracicWidths {
  heart: [from: number, to: number, row: number];
  chest: [from: number, to: number, row: number];
}

/** What a multi-label model says of one of its findings. */
export interface FindingAnswer {
  label: string;
  probability: number;
  /** Whether the score reaches the threshold. Of an image that is refused nothing is named. */
  named: boolean;
  band: Record<string, unknown> | null;
  prediction_set: { labels: string[]; coverage: number } | null;
  operating_point: { name: string; threshold: number };
}

export interface Result {
  error?: string;
  labels?: string[];
  probabilities?: Record<string, number>;
  /** A label, or several findings (api/decision.ts), or null where the model refuses to answer. */
  decision?: string | null;
  refused?: boolean;
  /** What to know beside the answer, in words. */
  warnings?: string[];
  reason?: string;
  /** A code for each reason of a refusal, or for each warning, in their order. */
  codes?: string[];
  /** The flat border that was cut off before the model looked, in pixels of the image. Absent in older answers. */
  border?: { top: number; bottom: number; left: number; right: number } | null;
  /** Whether gatekeeper and lungs graph looked at the image first. Absent in older answers. */
  screened?: boolean;
  /** Whether the model is most active outside the lungs. */
  outside_lungs?: boolean;
  lungs?: LungRuns | null;
  /** Where a plausible heart was seen. Absent in older answers. */
  heart?: LungRuns | null;
  cardiothoracic?: CardiothoracicWidths | null;
  ood?: number | null;
  /** What was observed among calibration images with such a score: an object of the card's, see card.json. */
  band?: Record<string, unknown> | null;
  /** Labels that the card can’t rule out; such sets aim to hold the true one for `coverage` of the images. */
  prediction_set?: { labels: string[]; coverage: number } | null;
  operating_point?: { name: string; threshold: number } | null;
  /** Of a multi-label model, in the order of its card; other models have band, set and threshold above. */
  findings?: FindingAnswer[];
  heatmap_shape?: [number, number, number] | null;
  seconds?: number;
}
export type Prediction = Omit<Schemas["PredictionOut"], "result"> & { result: Result | null };
