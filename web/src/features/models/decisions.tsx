// How a model decides: what its thresholds do, and when it gives no answer.

import type { Card } from "../../api/card";
import { Badge } from "../../components/badge";
import { formatEstimate } from "../../components/estimate";
import { Said } from "../../components/said";
import { findMessage, formatNumber, t, translateTerm } from "../../i18n";
import { classLabel } from "./figure-names";

export function Decisions({ card }: { card: Card }) {
  const primary = classLabel(card.labels[0]?.name ?? "");
  return (
    <>
      <p>{t(card.kind === "multilabel" ? "model.finding-decides" : "model.decides", { label: primary })}</p>
      {card.operating_points.map((point) => (
        <div key={point.name} class="sheet point">
          <h3>
            {translateTerm("model.point", point.name)}{" "}
            {point.name === card.default_operating_point && <Badge tone="good">{t("model.default")}</Badge>}
          </h3>
          <p>{t("model.threshold", { value: formatNumber(point.threshold, 4), label: primary })}</p>
          {point.meaning && (
            <p>
              <Said by="card" text={point.meaning} />
            </p>
          )}
          <p class="soft small">
            {t("model.on-calibration", {
              sensitivity: formatEstimate(point.sensitivity),
              specificity: formatEstimate(point.specificity),
            })}
          </p>
        </div>
      ))}
      <h3>{t("model.silent")}</h3>
      <p>
        {t("model.silent-how", {
          threshold: formatNumber(card.refusal.ood_threshold, 3),
        })}{" "}
        {findMessage("model.silent-counted", { kept: card.refusal.kept, images: card.refusal.images })}
      </p>
    </>
  );
}
