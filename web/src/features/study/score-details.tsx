// The score with what was measured at such scores: never a percentage by itself.

import type { Band, Estimate } from "../../api/card";
import type { Result } from "../../api/types";
import { formatNumber, labelName, t } from "../../i18n";
import { type Card, countCalibration } from "./partial-card";
import { chooseScoreFormat, findPredictionSet, holdsEveryScore, naturalFrequency, parseBand } from "./score-format";

interface ScoreProps {
  result: Result;
  labels: string[];
  card: Card;
  /** The label that operating points and bands are about. */
  primary: string;
  /** False: nothing was measured on such images, so that nothing is said of what a score means. */
  measured?: boolean;
}

/** Return a score as it is written on the page. */
export function formatScore(score: number, threshold?: number): string {
  const { sign, value, decimals } = chooseScoreFormat(score, threshold);
  return sign + formatNumber(value, decimals);
}

/** Return a figure with its interval, or that it has none. */
export function formatEstimate({ value, low = null, high = null }: Estimate): string {
  if (value === null) return t("panel.not-estimable");
  const interval =
    low === null || high === null ? t("panel.no-interval") : `${formatNumber(low)}, ${formatNumber(high)}`;
  return `${formatNumber(value)} [${interval}]`;
}

/** The primary label's score on its scale, with the threshold, and the band's observed rate in words. */
export function ScoreEvidence({ result, primary, card, measured = true }: ScoreProps) {
  const score = result.probabilities?.[primary] ?? 0;
  const threshold = result.operating_point?.threshold;
  const band = measured ? parseBand(result.band) : null;
  const label = labelName(primary);
  const prior = card.class_prior?.[0];
  const images = countCalibration(card); // 0 where the card does not say
  const priorKey = images > 0 ? "panel.band-prior" : "panel.band-prior-uncounted";
  return (
    <div class="evidence">
      <p class="score">
        {t("panel.score", { label })} <strong>{formatScore(score, threshold)}</strong>
      </p>
      <ScoreScale score={score} threshold={threshold} band={band} />
      {measured && (
        <p>
          {band ? describeBand(band, label) : t("panel.no-band")}
          {band && prior !== undefined && ` ${t(priorKey, { n: Math.round(prior * 100), images, label })}`}
        </p>
      )}
    </div>
  );
}

/** What was observed at such scores, or that one band of all scores can't say it. */
export function describeBand(band: Band, label: string): string {
  if (holdsEveryScore(band)) return t("panel.band-too-few");
  return t("panel.band", {
    label,
    n: naturalFrequency(band.rate, 100).count,
    low: Math.floor(band.rate_low * 100),
    high: Math.ceil(band.rate_high * 100),
  });
}

/** A score on a line from 0 to 1, with its band and its threshold. */
export function ScoreScale({
  score,
  threshold,
  band,
}: {
  score: number;
  threshold: number | undefined;
  band: Band | null;
}) {
  return (
    <div class="scale" aria-hidden="true">
      {band && !holdsEveryScore(band) && (
        <span class="scale-band" style={{ left: toPercent(band.low), width: toPercent(band.high - band.low) }} />
      )}
      {threshold !== undefined && <span class="scale-limit" style={{ left: toPercent(threshold) }} />}
      <span class="scale-score" style={{ left: toPercent(score) }} />
    </div>
  );
}

/** What threshold and prediction set say, as one statement: whether the score reaches it, and what stays possible. */
export function RuleText({ result, primary, card, measured = true }: ScoreProps) {
  const point = result.operating_point;
  if (!point) return null;
  const score = result.probabilities?.[primary] ?? 0;
  const reached = t(score >= point.threshold ? "panel.reached" : "panel.missed", {
    threshold: formatScore(point.threshold, score),
  });
  if (!measured) return <p class="small rule">{reached}</p>;
  const target = /^sensitivity-(\d+)$/.exec(point.name)?.[1];
  const label = labelName(primary);
  const chosen = target ? t("panel.point-sensitivity", { n: target, label }) : t("panel.point-youden");
  return (
    <p class="small rule">
      {reached} {chosen} {describeSet(result, card)}
    </p>
  );
}

/** What a card's prediction sets leave possible beside the decision; empty where it has none. */
function describeSet({ probabilities, decision }: Result, { prediction_sets: sets }: Card): string {
  if (!sets || !probabilities) return "";
  const members = findPredictionSet(probabilities, sets.thresholds);
  if (members.length === 0) return t("panel.set-empty");
  const name = (labels: string[]) => labels.map((label) => labelName(label)).join(t("panel.or"));
  if (typeof decision === "string" && !members.includes(decision))
    return t("panel.set-open", { labels: name(members) });
  const others = members.filter((label) => label !== decision);
  return others.length === 0 ? t("panel.set-alone") : t("panel.set-more", { labels: name(others) });
}

/** The basis of the text above: the number of images, the prevalence among them, the threshold's performance. */
export function ScoreBasis(props: ScoreProps) {
  const { result, card } = props;
  const band = parseBand(result.band);
  const point = card.operating_points?.find((one) => one.name === result.operating_point?.name);
  const sets = card.prediction_sets;
  return (
    <>
      <ul class="small soft">
        {band && !holdsEveryScore(band) && (
          <li>
            {t("panel.band-from", {
              low: formatNumber(band.low),
              high: formatNumber(band.high),
              images: Math.round(band.n),
            })}
          </li>
        )}
        {point && (
          <li>
            {t("panel.point-measured", {
              sensitivity: formatEstimate(point.sensitivity),
              specificity: formatEstimate(point.specificity),
            })}
          </li>
        )}
        {sets && <li>{t("panel.set-words", { n: Math.round((1 - sets.alpha) * 100) })}</li>}
      </ul>
      <ScoreTable {...props} />
    </>
  );
}

/** All scores as a table: for the other labels no rate was measured. */
export function ScoreTable({ result, labels }: ScoreProps) {
  return (
    <table class="scores small">
      <caption>{t("panel.scores")}</caption>
      <tbody>
        {labels.map((label) => (
          <tr key={label}>
            <th scope="row">{labelName(label)}</th>
            <td>{formatScore(result.probabilities?.[label] ?? 0)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const toPercent = (share: number) => `${Math.min(100, Math.max(0, share * 100))}%`;
