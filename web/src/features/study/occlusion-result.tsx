// The answer to a what-if, in a frame of its own: beside the original scores, and marked as what it is.
import type { WhatIf } from "../../api/types";
import { number, t, word } from "../../i18n";
import { decisionWords, Reason } from "./model-answer";
import { cardOf } from "./partial-card";
import { scoreText } from "./score-details";
import type { Desk } from "./study-store";

export function WhatIfFrame({ desk, found, model }: { desk: Desk; found: WhatIf; model: string }) {
  const share = Math.round(found.covered * 100);
  return (
    <section class="whatif">
      <h3>{t("whatif.frame")}</h3>
      <p>
        {found.refused ? (
          <>
            {t("panel.silent")}: <Reason result={found} card={cardOf(desk.details.value[model])} />
          </>
        ) : (
          t("whatif.decision", { decision: decisionWords(found) })
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
          {found.labels.map((label) => {
            const [was, is] = [found.original[label] ?? 0, found.probabilities[label] ?? 0];
            return (
              <tr key={label}>
                <th scope="row">{word("label", label)}</th>
                <td>{scoreText(was)}</td>
                <td>{scoreText(is)}</td>
                <td>{change(was, is)}</td>
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
function change(was: number, is: number): string {
  const difference = Math.round(is * 100) - Math.round(was * 100);
  const sign = difference > 0 ? "+" : difference < 0 ? "\u2212" : "\u00b1";
  return sign + number(Math.abs(difference) / 100, 2);
}
