// Where a model draws its line, in words: what its thresholds do, and when it keeps silent.

import type { Card } from "../../api/card";
import { Badge } from "../../components/badge";
import { asText } from "../../components/estimate";
import { number, t, word } from "../../i18n";
import { className } from "./figure-names";

export function Decisions({ card }: { card: Card }) {
  const primary = className(card.labels[0]?.name ?? "");
  return (
    <>
      <p>{t("model.decides", { label: primary })}</p>
      {card.operating_points.map((point) => (
        <div key={point.name} class="sheet point">
          <h3>
            {word("model.point", point.name)}{" "}
            {point.name === card.default_operating_point && <Badge tone="good">{t("model.default")}</Badge>}
          </h3>
          <p>{t("model.threshold", { value: number(point.threshold, 4), label: primary })}</p>
          {point.meaning && <p lang="en">{point.meaning}</p>}
          <p class="soft small">
            {t("model.on-calibration", {
              sensitivity: asText(point.sensitivity),
              specificity: asText(point.specificity),
            })}
          </p>
        </div>
      ))}
      <h3>{t("model.silent")}</h3>
      <p>
        {t("model.silent-how", {
          threshold: number(card.refusal.ood_threshold, 3),
          share: number(100 * (1 - card.refusal.ood_quantile), 0),
        })}
      </p>
    </>
  );
}
