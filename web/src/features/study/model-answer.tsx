// One model's answer about one image. What it decided comes first; where it kept silent, the reason does.

import { models, nameOf } from "../../api/models";
import type { Model, ModelDetail, Prediction, Result } from "../../api/types";
import { ModelBadges } from "../../components/badge";
import { moment, number, t, word } from "../../i18n";
import { href } from "../../router";
import { HeatmapSwitch } from "./heatmap-select";
import { type Card, cardOf } from "./partial-card";
import { Basis, Evidence, PointWords, Scores, SetWords } from "./score-details";
import type { Desk } from "./study-store";

type Known = Model | ModelDetail | null | undefined;

export function Answer({ desk, prediction }: { desk: Desk; prediction: Prediction }) {
  const detail = desk.details.value[prediction.model];
  const model: Known = detail ?? models.value?.find((one) => one.id === prediction.model);
  return (
    <article class="sheet answer" data-state={prediction.state} aria-busy={prediction.state === "running"}>
      <header>
        <h3>
          {model ? <a href={href.model(prediction.model)}>{nameOf(prediction.model)}</a> : nameOf(prediction.model)}
        </h3>
        {model ? <ModelBadges model={model} /> : <p class="small soft">{t("panel.model-gone")}</p>}
      </header>
      {prediction.model_off && <p class="problem">{t("panel.off")}</p>}
      <div aria-live="polite">
        <Body desk={desk} prediction={prediction} model={model} card={cardOf(detail)} />
      </div>
      <footer class="small soft">
        {t("panel.asked-at", { time: moment(prediction.asked) })}
        {prediction.result?.seconds !== undefined &&
          `, ${t("panel.seconds", { seconds: number(prediction.result.seconds, 2) })}`}
      </footer>
    </article>
  );
}

function Body({ desk, prediction, model, card }: { desk: Desk; prediction: Prediction; model: Known; card: Card }) {
  const { state, result, withheld } = prediction;
  if (state === "queued" || state === "running") return <p class="verdict soft">{word("state", state)}</p>;
  if (withheld) return <p class="note">{t("panel.withheld")}</p>;
  if (result?.error || !result?.probabilities)
    return (
      <>
        <p class="verdict">{t("panel.failed")}</p>
        <p lang="en">{result?.error ?? ""}</p>
      </>
    );
  const labels = result.labels ?? Object.keys(result.probabilities);
  const shown = { result, labels, card, primary: labels[0] ?? "" };
  if (result.refused || prediction.model_off)
    return (
      <>
        {result.refused && <Refusal result={result} card={card} />}
        <NotLookedFor model={model} />
        <details class="research">
          <summary>{t("panel.research")}</summary>
          <Scores {...shown} />
        </details>
      </>
    );
  return (
    <>
      <p class="verdict">{decisionWords(result)}</p>
      {result.decision === "normal" && <NotLookedFor model={model} open />}
      <Evidence {...shown} />
      <PointWords {...shown} />
      <SetWords {...shown} />
      {card.calibrated === false && <p class="note">{t("panel.not-calibrated")}</p>}
      <HeatmapSwitch desk={desk} prediction={prediction} />
      {result.decision !== "normal" && <NotLookedFor model={model} />}
      <Basis {...shown} />
    </>
  );
}

/** Return a decision in words: never "normal", and a pattern rather than a disease. */
export function decisionWords({ decision }: Pick<Result, "decision">): string {
  if (!decision) return t("panel.silent");
  return decision === "normal" ? word("label", decision) : t("panel.pattern", { label: word("label", decision) });
}

function Refusal({ result, card }: { result: Result; card: Card }) {
  return (
    <>
      <p class="verdict">{t("panel.silent")}</p>
      <p>
        <Reason result={result} card={card} />
      </p>
    </>
  );
}

/** Why a model keeps silent: in the page's language where the card's limit says it, else in the server's words. */
export function Reason({ result, card }: { result: Pick<Result, "ood" | "reason">; card: Card }) {
  const { refusal } = card;
  const { ood } = result;
  if (refusal && typeof ood === "number" && ood > refusal.ood_threshold)
    return (
      <>
        {t("panel.unlike", {
          score: number(ood, 2),
          limit: number(refusal.ood_threshold, 2),
          n: Math.round(refusal.ood_quantile * 100),
        })}
      </>
    );
  return <span lang="en">{result.reason}</span>;
}

function NotLookedFor({ model, open }: { model: Known; open?: boolean }) {
  if (!model || model.not_looked_for.length === 0) return null;
  const list = <span lang="en">{model.not_looked_for.join(", ")}</span>;
  if (open)
    return (
      <p class="note">
        {t("panel.not-looked-for")} {list}
      </p>
    );
  return (
    <p class="small soft">
      {t("panel.not-looked-for")} {list}
    </p>
  );
}
