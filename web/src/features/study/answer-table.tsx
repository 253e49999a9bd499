// The answers of several models as one compact table, with a line on whether they agree.
import { modelName } from "../../api/models";
import type { FindingAnswer, Prediction } from "../../api/types";
import { findMessage, labelName, t, translateTerm } from "../../i18n";
import { decisionText } from "./decision-text";
import { compareAnswers } from "./predictions";
import { formatScore } from "./score-details";

export function AnswerTable({ answers }: { answers: Prediction[] }) {
  const { kind, answered, silent } = compareAnswers(answers);
  return (
    <section class="answer-table">
      <table class="small">
        <caption class="hidden">{t("panel.compared")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("read.model")}</th>
            <th scope="col">{t("panel.answer")}</th>
            <th scope="col">{t("model.score")}</th>
          </tr>
        </thead>
        <tbody>
          {answers.map((one) => (
            <tr key={one.id}>
              <th scope="row">{modelName(one.model)}</th>
              <td>{answerWord(one)}</td>
              <td>{answerScore(one)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="small">
        {answered > 1 && t(`panel.agree-${kind}`)} {silent > 0 && t("panel.agree-silent", { count: silent })}
      </p>
    </section>
  );
}

/** Return an answer in a few words: the decision, why there is none, or how far it is. */
export function answerWord({ state, result, withheld, model_off: off }: Prediction): string {
  if (off) return t("model.off");
  if (withheld) return t("panel.withheld");
  if (state !== "done" || !result) return translateTerm("state", state);
  if (!result.refused) return decisionText(result);
  const reason = findMessage(`refusal.${result.codes?.[0] ?? "unlike-training"}`, {});
  return reason === null ? t("panel.silent") : `${t("panel.silent")}: ${reason}`;
}

/** Return a finding's name with its score. */
function writeFinding({ label, probability, operating_point: point }: FindingAnswer): string {
  return `${labelName(label)} ${formatScore(probability, point.threshold)}`;
}

/** Return the score of the label that a model's threshold is about, or of the findings that it names; else nothing. */
function answerScore({ result, model_off: off }: Prediction): string {
  if (off || result?.refused) return "";
  if (result?.findings)
    return result.findings
      .filter(({ named }) => named)
      .map(writeFinding)
      .join(", ");
  const label = result?.labels?.[0];
  const score = label === undefined ? undefined : result?.probabilities?.[label];
  if (label === undefined || score === undefined) return "";
  return `${labelName(label)} ${formatScore(score, result?.operating_point?.threshold)}`;
}
