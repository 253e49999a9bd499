// One model's answer about one image. The decision comes first, or the reason if the model gave none.

import { modelName, models } from "../../api/models";
import type { Model, ModelDetail, Prediction, Result } from "../../api/types";
import { ModelBadges } from "../../components/badge";
import { formatDateTime, formatNumber, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { HeatmapSelect } from "./heatmap-select";
import { type Card, cardOf } from "./partial-card";
import { OperatingPointText, PredictionSetText, ScoreBasis, ScoreEvidence, ScoreTable } from "./score-details";
import type { StudyStore } from "./study-store";

type KnownModel = Model | ModelDetail | null | undefined;

export function ModelAnswer({ store, prediction }: { store: StudyStore; prediction: Prediction }) {
  const detail = store.details.value[prediction.model];
  const model: KnownModel = detail ?? models.value?.find((one) => one.id === prediction.model);
  return (
    <article class="sheet answer" data-state={prediction.state} aria-busy={prediction.state === "running"}>
      <header>
        <h3>
          {model ? (
            <a href={href.model(prediction.model)}>{modelName(prediction.model)}</a>
          ) : (
            modelName(prediction.model)
          )}
        </h3>
        {model ? <ModelBadges model={model} /> : <p class="small soft">{t("panel.model-gone")}</p>}
      </header>
      {prediction.model_off && <p class="problem">{t("panel.off")}</p>}
      <div aria-live="polite">
        <AnswerBody store={store} prediction={prediction} model={model} card={cardOf(detail)} />
      </div>
      <footer class="small soft">
        {t("panel.asked-at", { time: formatDateTime(prediction.asked) })}
        {prediction.result?.seconds !== undefined &&
          `, ${t("panel.seconds", { seconds: formatNumber(prediction.result.seconds, 2) })}`}
      </footer>
    </article>
  );
}

function AnswerBody({
  store,
  prediction,
  model,
  card,
}: {
  store: StudyStore;
  prediction: Prediction;
  model: KnownModel;
  card: Card;
}) {
  const { state, result, withheld } = prediction;
  if (state === "queued" || state === "running") return <p class="verdict soft">{translateTerm("state", state)}</p>;
  if (withheld) return <p class="note">{t("panel.withheld")}</p>;
  if (result?.error || !result?.probabilities)
    return (
      <>
        <p class="verdict">{t("panel.failed")}</p>
        <p lang="en">{result?.error ?? ""}</p>
      </>
    );
  const labels = result.labels ?? Object.keys(result.probabilities);
  const scoreProps = { result, labels, card, primary: labels[0] ?? "" };
  if (result.refused || prediction.model_off)
    return (
      <>
        {result.refused && <Refusal result={result} card={card} />}
        <NotLookedFor model={model} />
        {Object.keys(result.probabilities).length > 0 && (
          <details class="research">
            <summary>{t("panel.research")}</summary>
            <ScoreTable {...scoreProps} />
          </details>
        )}
      </>
    );
  return (
    <>
      <p class="verdict">{decisionText(result)}</p>
      {result.warnings?.map((warning) => (
        <p key={warning} class="note" lang="en">
          {warning}
        </p>
      ))}
      {result.decision === "normal" && <NotLookedFor model={model} open />}
      <ScoreEvidence {...scoreProps} />
      <OperatingPointText {...scoreProps} />
      <PredictionSetText {...scoreProps} />
      {card.calibrated === false && <p class="note">{t("panel.not-calibrated")}</p>}
      <HeatmapSelect store={store} prediction={prediction} />
      {result.decision !== "normal" && <NotLookedFor model={model} />}
      <ScoreBasis {...scoreProps} />
    </>
  );
}

/** Return a decision in words: never "normal", and a pattern rather than a disease. */
export function decisionText({ decision }: Pick<Result, "decision">): string {
  if (!decision) return t("panel.silent");
  return decision === "normal"
    ? translateTerm("label", decision)
    : t("panel.pattern", { label: translateTerm("label", decision) });
}

function Refusal({ result, card }: { result: Result; card: Card }) {
  return (
    <>
      <p class="verdict">{t("panel.silent")}</p>
      <p>
        <RefusalReason result={result} card={card} />
      </p>
    </>
  );
}

/** Why a model gives no answer: in the page's language if the card's limit explains it, else the server's text. */
export function RefusalReason({ result, card }: { result: Pick<Result, "ood" | "reason">; card: Card }) {
  const { refusal } = card;
  const { ood } = result;
  if (refusal && typeof ood === "number" && ood > refusal.ood_threshold)
    return (
      <>
        {t("panel.unlike", {
          score: formatNumber(ood, 2),
          limit: formatNumber(refusal.ood_threshold, 2),
          n: Math.round(refusal.ood_quantile * 100),
        })}
      </>
    );
  return <span lang="en">{result.reason}</span>;
}

function NotLookedFor({ model, open }: { model: KnownModel; open?: boolean }) {
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
