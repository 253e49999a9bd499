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
export interface Card {
  labels?: { name: string }[];
  class_prior?: number[];
  calibrated?: boolean;
  operating_points?: OperatingPoint[];
  default_operating_point?: string;
  prediction_sets?: PredictionSets | null;
  refusal?: { ood_threshold: number; ood_quantile: number };
}

export const cardOf = (model: ModelDetail | null | undefined): Card => (model?.card ?? {}) as Card;
