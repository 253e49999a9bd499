import type { Prediction } from "../api/types";

/** Return whether more can be asked of an answer: it is there, its model is on. */
export function usable(prediction: Prediction): boolean {
  return prediction.state === "done" && prediction.result?.probabilities !== undefined && !prediction.model_off;
}
