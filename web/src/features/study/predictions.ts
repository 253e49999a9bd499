// Sorts the answers of a study: the newest of each model, the older ones, and those that can be used further.
import { splitDecision } from "../../api/decision";
import type { Prediction, Result } from "../../api/types";

/** Return whether an answer can be used further: it is complete and its model is on. */
export function isUsable(prediction: Prediction): boolean {
  return prediction.state === "done" && prediction.result?.probabilities !== undefined && !prediction.model_off;
}

/** Return what an answer is mainly about: the primary label, or the finding of the highest score, named ones first. */
export function mainLabel({ labels, findings }: Result): string | undefined {
  const named = findings?.filter((one) => one.named) ?? [];
  const highest = [...(named.length > 0 ? named : (findings ?? []))].sort((a, b) => b.probability - a.probability)[0];
  return highest?.label ?? labels?.[0];
}

/** How the answers of several models compare: all see a pattern, none does, they differ in it or about it. */
type Comparison = "pattern" | "none" | "labels" | "differ";

/** Return whether the models that answered agree, how many did, and how many gave no answer. */
export function compareAnswers(predictions: readonly Prediction[]): {
  kind: Comparison;
  answered: number;
  silent: number;
} {
  const given = predictions.filter((one) => one.state === "done" && one.result && !one.model_off);
  const decisions = given.flatMap(({ result }) =>
    result?.refused || !result?.decision ? [] : [splitDecision(result.decision).sort().join()],
  );
  const patterns = new Set(decisions);
  const allNone = decisions.every((one) => one === "normal");
  const kind = allNone ? "none" : patterns.has("normal") ? "differ" : patterns.size === 1 ? "pattern" : "labels";
  return { kind, answered: decisions.length, silent: given.length - decisions.length };
}

/** Return each model's newest answer about an image (in the order of the first questions) and the older answers. */
export function splitAnswers(predictions: readonly Prediction[], image: string | undefined) {
  const ofImage = predictions
    .map((one, place) => ({ one, place }))
    .filter(({ one }) => one.image === image)
    .sort((a, b) => Date.parse(b.one.asked) - Date.parse(a.one.asked) || b.place - a.place)
    .map(({ one }) => one);
  const newest = new Map<string, Prediction>();
  for (const one of ofImage) if (!newest.has(one.model)) newest.set(one.model, one);
  const order = [...new Set(ofImage.map((one) => one.model).reverse())];
  return {
    newest: order.map((model) => newest.get(model) as Prediction),
    older: ofImage.filter((one) => newest.get(one.model) !== one),
  };
}
