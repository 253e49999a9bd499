// The names of figures and operating points in plain words; one that we have none for is shown as the card names it.
import { t, word } from "../../i18n";

/** Return the name of a figure: "covid-19/auroc", "sensitivity-95/specificity", "accuracy". */
export function figureName(key: string): string {
  const [first = "", second] = key.split("/");
  if (second === undefined) return word("model.metric", first);
  const points = ["youden", "sensitivity-95", "sensitivity-98"];
  if (points.includes(first))
    return t("model.at-point", { figure: word("model.metric", second), point: word("model.point", first) });
  return t("model.of-label", { figure: word("model.metric", second), label: className(first) });
}

/** Return what a figure means, or nothing where its name says it. */
export function figureHint(key: string): string | undefined {
  const name = key.split("/").pop() ?? key;
  const said = word("model.explain", name);
  return said === name ? undefined : said;
}

/** Return the name of a class: "normal" as a class is not "normal" as a finding. */
export function className(label: string): string {
  return label === "normal" ? t("model.class-normal") : word("label", label);
}

/** Return a decision as a result is worded: no bare "normal", and no answer where the model kept silent. */
export function phraseOf(decision: string | null): string {
  return decision === null ? t("model.kept-silent") : word("label", decision);
}
