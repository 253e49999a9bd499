// What one network says of a picture: verdict, score on its scale, or the refusal with its reason.

import type { Result } from "../../api/types";
import { ModelBadges } from "../../components/badge";
import { TermList } from "../../components/term-list";
import { type ClassifierCard, describeFindings, describeScore, type ListedBundle } from "../../device/bundle";
import type { Answer } from "../../device/messages";
import { findMessage, formatNumber, t } from "../../i18n";
import { decisionText } from "../study/decision-text";
import { FindingBasis, FindingRows } from "../study/finding-rows";
import { RuleText, ScoreBasis, ScoreEvidence, ScoreTable } from "../study/score-details";
import { bundleName, facts } from "./device-state";
import { modelOf } from "./model-of";

interface Props {
  answer: Answer;
  bundle: ListedBundle;
  card: ClassifierCard;
  /** Asks again, about a photograph too; absent where that is no way out. */
  onOverride?: (() => void) | undefined;
}

/** Return an answer in the form that the pages of the server have. */
function toResult(answer: Answer, card: ClassifierCard): Result {
  const labels = card.labels.map((label) => label.name);
  return {
    labels,
    probabilities: Object.fromEntries(answer.probabilities.map((p, k) => [labels[k], p])),
    decision: answer.decision,
    refused: answer.refused,
    codes: answer.codes,
    ood: answer.ood,
    ...(answer.refused || card.kind === "multilabel" ? {} : describeScore(card, answer.probabilities[0] ?? 0)),
  } as Result;
}

export function DeviceAnswer({ answer, bundle, card, onOverride }: Props) {
  const result = toResult(answer, card);
  const labels = card.labels.map((label) => label.name);
  // What was measured on radiographs says nothing of photographs.
  const measured = !answer.codes.includes("photograph-unmeasured");
  const scores = { result, labels, card, primary: labels[0] ?? "", measured };
  const findings = card.kind === "multilabel" ? describeFindings(card, answer) : [];
  return (
    <article class="sheet answer" data-model={bundle.identity} data-refused={answer.refused}>
      <header>
        <h3>
          <a href={`#/networks/${bundle.identity}`}>{bundleName(bundle)}</a>
        </h3>
        <ModelBadges model={modelOf(bundle, card, facts.value[bundle.identity] ?? null)} />
      </header>
      <p class="verdict" data-decision={answer.decision ?? ""}>
        {answer.refused ? t("panel.silent") : decisionText(result)}
      </p>
      {answer.refused ? (
        <>
          {answer.codes.map((code) => (
            <p key={code} data-code={code}>
              {refusalText(code, answer, card)}
            </p>
          ))}
          {onOverride && (
            <p>
              <button type="button" class="danger" onClick={onOverride}>
                {t("device.override")}
              </button>
            </p>
          )}
        </>
      ) : (
        <>
          {answer.codes.map((code) => (
            <p key={code} class={code === "photograph-unmeasured" ? "problem" : "note"} data-code={code}>
              {findMessage(`finding.${code}`, { ...answer.border }) ?? code}
            </p>
          ))}
          {card.calibrated === false && <p class="note">{t("panel.not-calibrated")}</p>}
          {card.kind === "multilabel" ? (
            <FindingRows findings={findings} card={card} measured={measured} />
          ) : (
            <>
              <ScoreEvidence {...scores} />
              <RuleText {...scores} />
            </>
          )}
          <p class="small soft">
            {t("panel.not-looked-for")} <TermList terms={card.not_looked_for} />
          </p>
          <details class="research">
            <summary>{t("panel.more")}</summary>
            {!measured ? (
              <ScoreTable {...scores} />
            ) : card.kind === "multilabel" ? (
              <FindingBasis findings={findings} card={card} />
            ) : (
              <ScoreBasis {...scores} />
            )}
            <p class="small soft">{t("panel.seconds", { seconds: formatNumber(answer.seconds, 2) })}</p>
          </details>
        </>
      )}
    </article>
  );
}

function refusalText(code: string, answer: Answer, card: ClassifierCard): string {
  if (code === "unlike-training" && answer.ood !== null)
    return t("panel.unlike", {
      score: formatNumber(answer.ood, 2),
      limit: formatNumber(card.refusal.ood_threshold, 2),
    });
  return findMessage(`finding.${code}`, {}) ?? code;
}
