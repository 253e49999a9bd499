// The names of figures and operating points in plain words. The card's own name is the fallback.
import { ABSENT } from "../../api/decision";
import { decisionLabels, labelName, t, translateTerm } from "../../i18n";

/** Return the name of a figure: "covid-19/auroc", "sensitivity-95/specificity", "accuracy". */
export function nameFigure(key: string): string {
  const [first = "", second] = key.split("/");
  if (second === undefined) return translateTerm("model.metric", first);
  const points = ["youden", "sensitivity-95", "sensitivity-98"];
  if (points.includes(first))
    return t("model.at-point", {
      figure: translateTerm("model.metric", second),
      point: translateTerm("model.point", first),
    });
  return t("model.of-label", { figure: translateTerm("model.metric", second), label: classLabel(first) });
}

/** Return what a figure means, or undefined if its name is enough. */
export function explainFigure(key: string): string | undefined {
  const name = key.split("/").pop() ?? key;
  const text = translateTerm("model.explain", name);
  return text === name ? undefined : text;
}

/** Return the name of a class. "normal" as a class of images has another name than as an answer. */
export function classLabel(label: string): string {
  if (label === "normal") return t("model.class-normal");
  const finding = label.startsWith(ABSENT) ? label.slice(ABSENT.length) : label;
  return finding === label ? labelName(label) : t("model.not", { label: labelName(finding) });
}

/** Return a decision in words: never a bare "normal", and "no answer" if the model gave none. */
export function decisionText(decision: string | null): string {
  return decision === null ? t("model.kept-silent") : decisionLabels(decision);
}
