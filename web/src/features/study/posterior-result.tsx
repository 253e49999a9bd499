// Before and after, as natural frequencies: what the answer makes of the reader's pre-test probability.

import type { Estimate, LikelihoodBand } from "../../api/card";
import type { Posterior } from "../../api/types";
import { number, t, word } from "../../i18n";
import { estimateText } from "./score-details";
import { denominator, frequency } from "./score-format";

export function PosteriorFrame({ found, band }: { found: Posterior; band: LikelihoodBand | undefined }) {
  const of = denominator(found.prior, found.probability);
  const many = (share: number) => number(frequency(share, of).count, 0);
  const label = word("label", found.label);
  const interval =
    found.low === null || found.high === null ? t("panel.no-interval") : `${many(found.low)}, ${many(found.high)}`;
  const ratio = found.ratio as unknown as Estimate;
  const moved = found.moved[found.label];
  return (
    <div class="posterior">
      <h3>{t("prior.yours")}</h3>
      <dl class="bars">
        <dt>{t("prior.before")}</dt>
        <dd>
          <Bar value={found.prior} />
          <span>{t("prior.n-of", { n: many(found.prior), of: number(of, 0) })}</span>
        </dd>
        <dt>{t("prior.after")}</dt>
        <dd>
          <Bar value={found.probability} low={found.low} high={found.high} />
          <span>{t("prior.n-of", { n: `${many(found.probability)} [${interval}]`, of: number(of, 0) })}</span>
        </dd>
      </dl>
      <p>
        {t("prior.sentence", {
          of: number(of, 0),
          label,
          before: many(found.prior),
          after: `${many(found.probability)} [${interval}]`,
        })}
      </p>
      <p class="small">
        {t("prior.ratio", { ratio: estimateText(ratio), label })}{" "}
        {band && (
          <span class="soft">
            {t("prior.ratio-band", {
              low: number(band.low),
              high: number(band.high),
              positives: band.positives,
              negatives: band.negatives,
              label,
            })}
          </span>
        )}
      </p>
      {moved !== undefined && (
        <p class="small soft">
          {t("prior.moved", { n: number(frequency(moved).count, 0), of: number(frequency(moved).of, 0) })}
        </p>
      )}
      <p class="small soft">
        {t("prior.source-said", { source: found.source })} {t("prior.not-stored")}
      </p>
    </div>
  );
}

function Bar({ value, low, high }: { value: number; low?: number | null; high?: number | null }) {
  const at = (share: number) => `${share * 100}%`;
  return (
    <span class="bar" aria-hidden="true">
      <span class="bar-value" style={{ width: at(value) }} />
      {low != null && high != null && <span class="bar-interval" style={{ left: at(low), width: at(high - low) }} />}
    </span>
  );
}
