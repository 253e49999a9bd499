// What a model's card and its evidence hold, as far as the page reads it, and how it is taken apart. The server checks
// both against their own schemas (pneumoscope.card, pneumoscope.evidence); a file of evidence may say more.
import type { ModelDetail } from "../api/types";
import type { Estimate } from "../ui/estimate";

export interface OperatingPoint {
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
export interface Band {
  low: number;
  high: number;
  rate: number;
  rate_low: number;
  rate_high: number;
  n: number;
}
export interface LikelihoodBand {
  low: number;
  high: number;
  ratio: Estimate;
  positives: number;
  negatives: number;
}
export interface PredictionSets {
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
}
export interface Finding {
  name: string;
  severity: "block" | "warn" | "note";
  sentence: string;
  because?: string | null;
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
  refusal: { ood_threshold: number; ood_quantile: number };
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

export function cardOf(model: ModelDetail): Card {
  return model.card as unknown as Card;
}

/** One opening of test images with a model. */
export interface Opening {
  time: string;
  part: string;
  images: number;
  earlier_openings: number;
  group_kind: string;
  headline: Record<string, Estimate>;
  command: string;
  note?: string;
}

export function openingsOf(model: ModelDetail): Opening[] {
  return ofKind(model, "opening") as unknown as Opening[];
}

export function ofKind(model: ModelDetail, kind: string): Record<string, unknown>[] {
  return model.evidence.filter((fact) => fact.kind === kind);
}

/** How far the exported graph is from the network that was trained: the largest difference of each output. */
export function parityOf(model: ModelDetail): { images: number; largest: Record<string, number> } | null {
  const fact = model.evidence.find((one) => "largest difference" in one);
  if (!fact) return null;
  return { images: Number(fact.images), largest: fact["largest difference"] as Record<string, number> };
}

/** Facts that no other function here reads: shown as they are. */
export function otherFacts(model: ModelDetail): Record<string, unknown>[] {
  return model.evidence.filter((fact) => fact.kind !== "opening" && !("largest difference" in fact));
}

/**
 * Take a label's reference standard apart by source: "a: by x; by y; b: by z" is a: "by x; by y", b: "by z".
 * Only names of the model's own sources begin a new one.
 */
export function standardsOf(label: Label, sources: string[]): { source: string; standard: string }[] {
  const names = sources.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  if (!names) return [{ source: "", standard: label.reference_standard }];
  const begin = new RegExp(`(?:^|; )(${names}): `, "g");
  const found = [...label.reference_standard.matchAll(begin)];
  if (found.length === 0) return [{ source: "", standard: label.reference_standard }];
  return found.map((match, index) => ({
    source: match[1] ?? "",
    standard: label.reference_standard.slice(
      (match.index ?? 0) + match[0].length,
      found[index + 1]?.index ?? label.reference_standard.length,
    ),
  }));
}

/** The figures that are always quoted, in the order in which they are read. */
export function headline(card: Card, metrics: Record<string, Estimate>): [string, Estimate][] {
  const point = card.default_operating_point;
  const wanted = [
    `${point}/sensitivity`,
    `${point}/specificity`,
    `${card.labels[0]?.name}/auroc`,
    "balanced_accuracy",
    "accuracy",
  ];
  return wanted.flatMap((key) => (metrics[key] ? [[key, metrics[key]] as [string, Estimate]] : []));
}
