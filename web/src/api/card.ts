// The parts of a model's card that the pages read. The server checks cards against its own schema
// (pneumoscope.bundle.card). Cards of earlier versions may lack the optional members.
import type { ModelDetail } from "./types";

/** A figure with its 95% interval, as the server and the cards give it. */
export interface Estimate {
  /** Null where it can't be computed. */
  value: number | null;
  low?: number | null;
  high?: number | null;
  method?: string;
  /** Why there is no interval, or what to know about it. */
  note?: string;
}

interface OperatingPoint {
  name: string;
  threshold: number;
  sensitivity: Estimate;
  specificity: Estimate;
  meaning?: string;
}
export interface PartMetrics {
  part: string;
  images: number;
  groups: number;
  group_kind: string;
  metrics: Record<string, Estimate>;
}
/** What was observed among calibration images whose score for the primary label lay in one band. */
export interface Band {
  /** low <= score < high; the last band holds its end. */
  low: number;
  high: number;
  /** Share of the band's images that were of the primary label, 0..1, with its 95% interval. */
  rate: number;
  rate_low: number;
  rate_high: number;
  /** Images in the band. */
  n: number;
}
/** How much more often a score in a band comes from the primary label than from the others; low <= score < high. */
export interface LikelihoodBand {
  low: number;
  high: number;
  ratio: Estimate;
  positives: number;
  negatives: number;
}
interface PredictionSets {
  alpha: number;
  thresholds: Record<string, number>;
  method: string;
  measured_on?: string;
  coverage?: Record<string, Estimate>;
  mean_size?: number | null;
}
export interface Label {
  name: string;
  members: string[];
  reference_standard: string;
  images: Record<string, number>;
  /** Language -> name on screen, of a label that the app does not bring. */
  names?: Record<string, string> | null;
}
export interface Finding {
  name: string;
  severity: "block" | "warn" | "note";
  sentence: string;
  because?: string | null;
}
/** What the calibration part set for one finding of a multi-label model, and the finding's figures. */
export interface FindingFacts {
  name: string;
  temperature: number;
  prior: number;
  /** Images by part in which it is stated absent. */
  absent: Record<string, number>;
  operating_points: OperatingPoint[];
  score_bands: Band[];
  likelihood_ratios: LikelihoodBand[];
  prediction_sets: PredictionSets | null;
  metrics: PartMetrics[];
  metrics_by_source: Record<string, PartMetrics[]>;
}
export interface Card {
  created: string;
  software: Record<string, string>;
  summary: string;
  intended_use: string;
  limits: string[];
  not_looked_for: string[];
  labels: Label[];
  kind: string;
  /** Of a multi-label model, in the order of its labels. */
  findings?: FindingFacts[];
  input_size: number;
  heatmap_size: [number, number] | null;
  temperature: number;
  class_prior: number[];
  calibrated?: boolean;
  operating_points: OperatingPoint[];
  default_operating_point: string;
  score_bands?: Band[];
  likelihood_ratios?: LikelihoodBand[];
  prediction_sets?: PredictionSets | null;
  refusal: { ood_threshold: number; ood_quantile: number; images?: number | null; kept?: number | null };
  /** Whether flat borders are cut off before the graph looks; absent: they are not. */
  borders?: "kept" | "cut" | "cut-after-training";
  recipe_name: string;
  recipe_changes?: string[];
  recipe_hash: string;
  data_hash: string;
  split_hash: string;
  group_kind: string;
  metrics: PartMetrics[];
  metrics_by_source?: Record<string, PartMetrics[]>;
  licences: { source: string; licence: string; images: number }[];
  gate?: { checked: string; findings: Finding[] } | null;
  parameters: number;
  companions?: Record<string, string>;
  model_sha256: string;
  model_bytes: number;
}

/** Return the card of one finding of a multi-label model, as that of a model of this finding and its absence. */
export function viewOfFinding<C extends Partial<Card>>(card: C, finding: string): C {
  const facts = card.findings?.find((one) => one.name === finding);
  const label = card.labels?.find((one) => one.name === finding);
  if (!facts || !label) return card;
  return { ...card, ...facts, labels: [label], class_prior: [facts.prior], findings: [] };
}

export function cardOf(model: ModelDetail): Card {
  return model.card as unknown as Card;
}
