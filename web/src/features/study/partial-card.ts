// A model's card with optional members: an answer may arrive before its card.
import * as cards from "../../api/card";
import type { ModelDetail } from "../../api/types";

export type Card = Partial<cards.Card>;

export const cardOf = (model: ModelDetail | null | undefined): Card => (model ? cards.cardOf(model) : {});

/** Return the number of images of a card's calibration part. */
export const countCalibration = (card: Card): number =>
  (card.labels ?? []).reduce((sum, label) => sum + (label.images?.calibration ?? 0), 0);

/** Return the band of likelihood ratios that a score falls in; the last one holds its end. */
export function findRatioBand(
  { likelihood_ratios: bands = [] }: Card,
  score: number,
): cards.LikelihoodBand | undefined {
  return bands.find((band) => band.low <= score && score < band.high) ?? (score >= 1 ? bands.at(-1) : undefined);
}
