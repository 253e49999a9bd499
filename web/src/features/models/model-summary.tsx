// The first screen of a model's page: what it looks for, how well it did, whether it was audited, and where it fails.
import type { Card } from "../../api/card";
import type { ModelDetail } from "../../api/types";
import { formatEstimate } from "../../components/estimate";
import { findPatterns } from "../../components/patterns";
import { Said } from "../../components/said";
import { TermList } from "../../components/term-list";
import { formatNumber, t, translateTerm } from "../../i18n";
import { listOpenings, selectHeadline } from "./card-facts";
import { nameFigure } from "./figure-names";

const FIGURES = 3;

export function ModelSummary({ model, card }: { model: ModelDetail; card: Card }) {
  const opening = listOpenings(model).at(-1);
  const part = opening ?? card.metrics.at(-1) ?? card.findings?.[0]?.metrics.at(-1);
  const figures = opening?.headline ?? card.metrics.at(-1)?.metrics ?? {};
  const [limit] = card.limits;
  return (
    <dl class="summary-tiles">
      <div>
        <dt>{t("model.looks")}</dt>
        <dd>{findPatterns(model).join(", ")}</dd>
      </div>
      {selectHeadline(card, figures)
        .filter(([, estimate]) => estimate.value !== null)
        .slice(0, FIGURES)
        .map(([key, estimate]) => (
          <div key={key}>
            <dt>{nameFigure(key)}</dt>
            <dd>{formatEstimate(estimate, 2)}</dd>
          </div>
        ))}
      {part && (
        <div>
          <dt>{t("model.measured-on")}</dt>
          <dd>
            {translateTerm("model.part", part.part)}, {t("model.images", { count: formatNumber(part.images, 0) })}
          </dd>
        </div>
      )}
      <div>
        <dt>{t("model.audit")}</dt>
        <dd>{translateTerm("model.audit", model.audit)}</dd>
      </div>
      <div class="wide">
        <dt>{t("model.not-looks")}</dt>
        <dd>
          <TermList terms={model.not_looked_for} />
        </dd>
      </div>
      {limit && (
        <div class="wide">
          <dt>{t("model.sec.limits")}</dt>
          <dd>
            <Said by="card" text={limit} />
          </dd>
        </div>
      )}
    </dl>
  );
}
