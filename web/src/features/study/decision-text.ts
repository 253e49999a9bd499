// A decision in words.
import { splitDecision } from "../../api/decision";
import type { Result } from "../../api/types";
import { decisionLabels, labelName, t } from "../../i18n";

/** Return a decision in words: never "normal", and a pattern rather than a disease. */
export function decisionText({ decision }: Pick<Result, "decision">): string {
  if (!decision) return t("panel.silent");
  if (decision === "normal") return labelName(decision);
  const several = splitDecision(decision).length > 1;
  return t(several ? "panel.patterns" : "panel.pattern", { label: decisionLabels(decision) });
}
