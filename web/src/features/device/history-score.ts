// The score of an answer in the history, written as the answer itself wrote it.
import { type ClassifierCard, describeScore } from "../../device/bundle";
import type { Answer } from "../../device/messages";
import { formatScore } from "../study/score-details";

/** Return the first label's score. The card, while the network is kept here, has the threshold it is compared with. */
export function writeScore(answer: Pick<Answer, "probabilities">, card?: ClassifierCard): string {
  const score = answer.probabilities[0] ?? 0;
  const points = card?.findings?.find((facts) => facts.name === card.labels[0]?.name)?.operating_points;
  const point = points
    ? points.find(({ name }) => name === card?.default_operating_point)
    : card && describeScore(card, score).operating_point;
  return formatScore(score, point?.threshold);
}
