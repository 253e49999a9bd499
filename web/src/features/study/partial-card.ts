// A model's card as the panel reads it: an answer may come before its card, so each member may be missing.
import * as cards from "../../api/card";
import type { ModelDetail } from "../../api/types";

export type Card = Partial<cards.Card>;

export const cardOf = (model: ModelDetail | null | undefined): Card => (model ? cards.cardOf(model) : {});

/** Return the band of likelihood ratios that a score falls in; the last one holds its end. */
export function findRatioBand(
  { likelihood_ratios: bands = [] }: Card,
  score: number,
): cards.LikelihoodBand | undefined {
  return bands.find((band) => band.low <= score && score < band.high) ?? (score >= 1 ? bands.at(-1) : undefined);
}
