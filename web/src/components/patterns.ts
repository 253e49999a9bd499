// The patterns that a model looks for.
import { labelName } from "../i18n";

/** Return the names of the patterns that a model looks for, without `normal`. */
export function findPatterns(model: { labels: string[] }): string[] {
  return model.labels.filter((label) => label !== "normal").map((label) => labelName(label));
}
