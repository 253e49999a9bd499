// The result of an occlusion: shown beside the original scores and marked as not a result of the model.
import type { OcclusionAnswer } from "../../api/types";
import { formatNumber, labelName, t } from "../../i18n";
import { decisionText } from "./decision-text";
import { RefusalReason } from "./model-answer";
import { cardOf } from "./partial-card";
import { formatScore } from "./score-details";
import type { StudyStore } from "./study-store";

export function OcclusionResult({
  store,
  occlusion,
  model,
}: {
  store: StudyStore;
  occlusion: OcclusionAnswer;
  model: string;
}) {
  const share = Math.round(occlusion.covered * 100);
  return (
    <section class="whatif">
      <h3>{t("whatif.frame")}</h3>
      <p>
        {occlusion.refused ? (
          <>
            {t("panel.silent")}: <RefusalReason result={occlusion} card={cardOf(store.details.value[model])} />
          </>
        ) : (
          t("whatif.decision", { decision: decisionText(occlusion) })
        )}
      </p>
      <table class="scores small">
        <caption>{t("whatif.table")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("whatif.label")}</th>
            <th scope="col">{t("whatif.original")}</th>
            <th scope="col">{t("whatif.covered")}</th>
            <th scope="col">{t("whatif.change")}</th>
          </tr>
        </thead>
        <tbody>
          {occlusion.labels.map((label) => {
            const [original, occluded] = [occlusion.original[label] ?? 0, occlusion.probabilities[label] ?? 0];
            return (
              <tr key={label}>
                <th scope="row">{labelName(label)}</th>
                <td>{formatScore(original)}</td>
                <td>{formatScore(occluded)}</td>
                <td>{formatChange(original, occluded)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p class="small soft">
        {t("whatif.share", { n: share < 1 ? "< 1" : share })} {t("whatif.fill")}
      </p>
      <p class="small">
        <strong>{t("whatif.not-a-result")}</strong>
      </p>
    </section>
  );
}

/** Return the difference of two scores as they are written, with its sign. */
function formatChange(original: number, occluded: number): string {
  const difference = Math.round(occluded * 100) - Math.round(original * 100);
  const sign = difference > 0 ? "+" : difference < 0 ? "\u2212" : "\u00b1";
  return sign + formatNumber(Math.abs(difference) / 100, 2);
}
