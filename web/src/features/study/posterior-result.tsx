// The reader's probability before and after the answer, as natural frequencies.

import type { Estimate, LikelihoodBand } from "../../api/card";
import type { Posterior } from "../../api/types";
import { formatNumber, labelName, t } from "../../i18n";
import { formatEstimate } from "./score-details";
import { chooseDenominator, naturalFrequency } from "./score-format";

export function PosteriorResult({ posterior, band }: { posterior: Posterior; band: LikelihoodBand | undefined }) {
  const of = chooseDenominator(posterior.prior, posterior.probability);
  const formatCount = (share: number) => formatNumber(naturalFrequency(share, of).count, 0);
  const label = labelName(posterior.label);
  const interval =
    posterior.low === null || posterior.high === null
      ? t("panel.no-interval")
      : `${formatCount(posterior.low)}, ${formatCount(posterior.high)}`;
  const ratio = posterior.ratio as unknown as Estimate;
  const adjusted = posterior.moved[posterior.label];
  return (
    <div class="posterior">
      <h3>{t("prior.yours")}</h3>
      <dl class="bars">
        <dt>{t("prior.before")}</dt>
        <dd>
          <Bar value={posterior.prior} />
          <span>{t("prior.n-of", { n: formatCount(posterior.prior), of: formatNumber(of, 0) })}</span>
        </dd>
        <dt>{t("prior.after")}</dt>
        <dd>
          <Bar value={posterior.probability} low={posterior.low} high={posterior.high} />
          <span>
            {t("prior.n-of", { n: `${formatCount(posterior.probability)} [${interval}]`, of: formatNumber(of, 0) })}
          </span>
        </dd>
      </dl>
      <p>
        {t("prior.sentence", {
          of: formatNumber(of, 0),
          label,
          before: formatCount(posterior.prior),
          after: `${formatCount(posterior.probability)} [${interval}]`,
        })}
      </p>
      <p class="small">
        {t("prior.ratio", { ratio: formatEstimate(ratio), label })}{" "}
        {band && (
          <span class="soft">
            {t("prior.ratio-band", {
              low: formatNumber(band.low),
              high: formatNumber(band.high),
              positives: band.positives,
              negatives: band.negatives,
              label,
            })}
          </span>
        )}
      </p>
      {adjusted !== undefined && (
        <p class="small soft">
          {t("prior.moved", {
            n: formatNumber(naturalFrequency(adjusted).count, 0),
            of: formatNumber(naturalFrequency(adjusted).of, 0),
          })}
        </p>
      )}
      <p class="small soft">
        {t("prior.source-said", { source: posterior.source })} {t("prior.not-stored")}
      </p>
    </div>
  );
}

function Bar({ value, low, high }: { value: number; low?: number | null; high?: number | null }) {
  const toPercent = (share: number) => `${share * 100}%`;
  return (
    <span class="bar" aria-hidden="true">
      <span class="bar-value" style={{ width: toPercent(value) }} />
      {low != null && high != null && (
        <span class="bar-interval" style={{ left: toPercent(low), width: toPercent(high - low) }} />
      )}
    </span>
  );
}
