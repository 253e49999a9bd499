// The words of a read for labels: `normal` has another name in a model's answer.
import { decisionLabels, t } from "../../i18n";

/** Return the name of a conclusion in a read: of a label, or of several findings. */
export function readerTerm(conclusion: string): string {
  return conclusion === "normal" ? t("read.none") : decisionLabels(conclusion);
}
