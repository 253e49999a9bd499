// One model's answer about one image. The decision comes first, or the reason if the model gave none.

import { modelName, models } from "../../api/models";
import type { Model, ModelDetail, Prediction, Result } from "../../api/types";
import { ModelBadges } from "../../components/badge";
import { TermList } from "../../components/term-list";
import { findMessage, formatDateTime, formatNumber, language, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { decisionText } from "./decision-text";
import { FindingBasis } from "./finding-rows";
import { FindingTable } from "./finding-table";
import { HeatmapSelect } from "./heatmap-select";
import { LungSwitch } from "./lung-switch";
import { type Card, cardOf } from "./partial-card";
import { RuleText, ScoreBasis, ScoreEvidence, ScoreTable } from "./score-details";
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
    </article>
  );
}

function AnswerTimes({ prediction }: { prediction: Prediction }) {
  return (
    <p class="small soft">
      {t("panel.asked-at", { time: formatDateTime(prediction.asked) })}
      {prediction.result?.seconds !== undefined &&
        `, ${t("panel.seconds", { seconds: formatNumber(prediction.result.seconds, 2) })}`}
    </p>
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
        <p>
          <Finding code={result?.codes?.[0]} text={result?.error ?? ""} />
        </p>
      </>
    );
  const labels = result.labels ?? Object.keys(result.probabilities);
  const scoreProps = { result, labels, card, primary: labels[0] ?? "" };
  if (result.refused || prediction.model_off)
    return (
      <>
        {result.refused && <Refusal result={result} card={card} />}
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
      {!(result.findings && result.decision !== "normal") && <p class="verdict">{decisionText(result)}</p>}
      {result.warnings?.map((warning, place) => (
        <p key={warning} class="note verdict-warning" data-code={result.codes?.[place]}>
          <Finding code={result.codes?.[place]} text={warning} values={result.border ?? {}} />
        </p>
      ))}
      {result.screened === false && <p class="note">{t("panel.unscreened")}</p>}
      {card.calibrated === false && <p class="note">{t("panel.not-calibrated")}</p>}
      {result.findings ? (
        <FindingTable store={store} prediction={prediction} findings={result.findings} card={card} />
      ) : (
        <>
          <ScoreEvidence {...scoreProps} />
          <RuleText {...scoreProps} />
        </>
      )}
      <div class="answer-tools">
        {!result.findings && <HeatmapSelect store={store} prediction={prediction} />}
        <LungSwitch store={store} prediction={prediction} />
      </div>
      {result.decision === "normal" && <NotLookedFor model={model} />}
      <details class="research">
        <summary>{t("panel.more")}</summary>
        {result.decision !== "normal" && <NotLookedFor model={model} />}
        {result.findings ? <FindingBasis findings={result.findings} card={card} /> : <ScoreBasis {...scoreProps} />}
        <AnswerTimes prediction={prediction} />
      </details>
    </>
  );
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
export function RefusalReason({ result, card }: { result: Pick<Result, "codes" | "ood" | "reason">; card: Card }) {
  const { refusal } = card;
  const { ood } = result;
  if (refusal && typeof ood === "number" && ood > refusal.ood_threshold)
    return (
      <>
        {t("panel.unlike", {
          score: formatNumber(ood, 2),
          limit: formatNumber(refusal.ood_threshold, 2),
        })}{" "}
        {findMessage("panel.unlike-counted", { kept: refusal.kept, images: refusal.images })}
      </>
    );
  const { codes = [], reason = "" } = result;
  const translated = codes.map(findingMessage);
  if (language.value === "en" || translated.length === 0 || translated.includes(null)) return <Finding text={reason} />;
  return <>{translated.join(" ")}</>;
}

/** What gatekeeper or lungs say of an image: the server's sentence, or its code's message in other languages. */
function Finding({
  code,
  text,
  values = {},
}: {
  code?: string | undefined;
  text: string;
  values?: Record<string, number>;
}) {
  const translated = code === undefined || language.value === "en" ? null : findMessage(`finding.${code}`, values);
  return translated === null ? <span lang="en">{sentence(text)}</span> : translated;
}

/** Return the message for a code of the gatekeeper or the lungs, or null for a code that the page does not know. */
function findingMessage(code: string): string | null {
  return findMessage(`finding.${code}`, {});
}

/** Return a text with a capital and a full stop; the server's findings are parts of longer sentences elsewhere. */
function sentence(text: string): string {
  return text && `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function NotLookedFor({ model }: { model: KnownModel }) {
  if (!model || model.not_looked_for.length === 0) return null;
  return (
    <p class="small soft">
      {t("panel.not-looked-for")} <TermList terms={model.not_looked_for} />
    </p>
  );
}
