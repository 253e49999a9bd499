// The members of a model's card that the panel reads. Cards of other versions may lack some: each is optional.
import type { ModelDetail } from "../api/types";

export interface Estimate {
  value: number | null;
  low: number | null;
  high: number | null;
  note?: string;
}
export interface OperatingPoint {
  name: string;
  threshold: number;
  sensitivity: Estimate;
  specificity: Estimate;
}
export interface PredictionSets {
  alpha: number;
  thresholds: Record<string, number>;
}
/** How much more often a score in a band comes from the primary label than from the others; low <= score < high. */
export interface LikelihoodBand {
  low: number;
  high: number;
  positives: number;
  negatives: number;
}
export interface Card {
  labels?: { name: string }[];
  class_prior?: number[];
  calibrated?: boolean;
  operating_points?: OperatingPoint[];
  default_operating_point?: string;
  likelihood_ratios?: LikelihoodBand[];
  prediction_sets?: PredictionSets | null;
  refusal?: { ood_threshold: number; ood_quantile: number };
}

export const cardOf = (model: ModelDetail | null | undefined): Card => (model?.card ?? {}) as Card;

/** Return the band of likelihood ratios that a score falls in; the last one holds its end. */
export function ratioBand({ likelihood_ratios: bands = [] }: Card, score: number): LikelihoodBand | undefined {
  return bands.find((band) => band.low <= score && score < band.high) ?? (score >= 1 ? bands.at(-1) : undefined);
}
