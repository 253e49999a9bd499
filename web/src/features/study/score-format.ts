// Figures for readers: natural frequencies, score bands, prediction sets. Pure functions, without texts.

import type { Band } from "../../api/card";

const MEMBERS = ["low", "high", "rate", "rate_low", "rate_high", "n"] as const;

/** Return the band of an answer, or null if it has none or an incomplete one. */
export function parseBand(value: unknown): Band | null {
  if (typeof value !== "object" || value === null) return null;
  const fields = value as Record<string, unknown>;
  return MEMBERS.every((member) => typeof fields[member] === "number" && Number.isFinite(fields[member]))
    ? (fields as unknown as Band)
    : null;
}

/** Whether a band holds every score, because calibration images are too few: its rate says nothing of a score. */
export const holdsEveryScore = ({ low, high }: Pick<Band, "low" | "high">): boolean => low <= 0 && high >= 1;

interface Frequency {
  /** The numerator. */
  count: number;
  /** The denominator: 100, or 1,000 or 10,000 if 100 would round to none or all. */
  of: number;
}

/** Return a share as a natural frequency: 0.41 is 41 of 100, 0.004 is 4 of 1,000. */
export function naturalFrequency(share: number, of = chooseDenominator(share)): Frequency {
  return { count: Math.round(share * of), of };
}

/** Return the smallest of 100, 1,000, 10,000 in which a share between none and all is between none and all. */
export function chooseDenominator(...shares: number[]): number {
  for (const of of [100, 1000]) {
    if (shares.every((share) => share <= 0 || share >= 1 || (share * of >= 0.95 && (1 - share) * of >= 0.95)))
      return of;
  }
  return 10_000;
}

/** How a score is written: with a number of decimals, or as smaller or larger than two decimals can show. */
type ScoreFormat = { sign: "" | "<" | ">"; value: number; decimals: number };

/** Return how to write a score so that it never looks certain if it is not, or equal to a threshold that it misses. */
export function chooseScoreFormat(score: number, threshold?: number): ScoreFormat {
  if (threshold !== undefined && score !== threshold && Math.abs(score - threshold) < 0.01)
    return { sign: "", value: score, decimals: 4 };
  if (score > 0 && score < 0.005) return { sign: "<", value: 0.01, decimals: 2 };
  if (score < 1 && score > 0.995) return { sign: ">", value: 0.99, decimals: 2 };
  return { sign: "", value: score, decimals: 2 };
}

/** Return the labels whose probability reaches their threshold: the prediction set (card.prediction_sets). */
export function findPredictionSet(probabilities: Record<string, number>, thresholds: Record<string, number>): string[] {
  return Object.keys(thresholds).filter((label) => (probabilities[label] ?? 0) >= (thresholds[label] ?? 1));
}

/** Return a typed percentage as a probability, or null unless it is strictly between 0 and 1. */
export function parsePercent(text: string): number | null {
  const value = Number(text.trim().replace(",", ".")) / 100;
  return text.trim() !== "" && Number.isFinite(value) && value > 0 && value < 1 ? value : null;
}

/** Return why, by its file, an image does not suit models for frontal chest radiographs; null if it may suit them. */
export function findUnsuitability(facts: { body_part?: string; view?: string }): "body-part" | "lateral" | null {
  if (facts.body_part && !/CHEST|THORAX|LUNG|RIB/i.test(facts.body_part)) return "body-part";
  return facts.view && !/^(PA|AP)\b/i.test(facts.view) ? "lateral" : null;
}
