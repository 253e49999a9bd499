// The findings of a multi-label model: each with its score, its own threshold and what was observed at such scores.
// The server's page and the one on a device show the same rows.

import type { ComponentChildren } from "preact";
import { viewOfFinding } from "../../api/card";
import type { FindingAnswer } from "../../api/types";
import { Badge } from "../../components/badge";
import { ScrollArea } from "../../components/scroll-area";
import { labelName, t } from "../../i18n";
import type { Card } from "./partial-card";
import { describeBand, formatEstimate, formatScore, ScoreScale } from "./score-details";
import { parseBand } from "./score-format";

interface Props {
  findings: FindingAnswer[];
  card: Card;
  /** A last column: what to do with the heatmap of a finding. */
  heatmapOf?: ((label: string) => ComponentChildren) | undefined;
  /** False: nothing was measured on such images, so that nothing is said of what a score means. */
  measured?: boolean;
}

/** The findings that the model names come first; each group is in the order of the card. */
export function FindingRows({ findings, card, heatmapOf, measured = true }: Props) {
  const sorted = [...findings.filter((one) => one.named), ...findings.filter((one) => !one.named)];
  return (
    <>
      <p class="small soft">{t("panel.findings-words")}</p>
      <table class="findings-table">
        <caption class="hidden">{t("panel.findings")}</caption>
        <thead>
          <tr class="small">
            <th scope="col">{t("panel.finding")}</th>
            <th scope="col">{t("panel.finding-score")}</th>
            {heatmapOf && <th scope="col">{t("panel.heatmap")}</th>}
          </tr>
        </thead>
        {sorted.map((one) => (
          <tbody key={one.label} data-named={one.named}>
            <tr>
              <th scope="row">
                {labelName(one.label)}{" "}
                {one.named ? (
                  <Badge tone="warn">{t("panel.named")}</Badge>
                ) : (
                  <span class="small soft">{t("panel.not-named")}</span>
                )}
              </th>
              <td>
                <strong>{formatScore(one.probability, one.operating_point.threshold)}</strong>{" "}
                <span class="small soft">
                  {t("panel.finding-threshold", {
                    threshold: formatScore(one.operating_point.threshold, one.probability),
                  })}
                </span>
                <ScoreScale
                  score={one.probability}
                  threshold={one.operating_point.threshold}
                  band={measured ? parseBand(one.band) : null}
                />
              </td>
              {heatmapOf && <td>{heatmapOf(one.label)}</td>}
            </tr>
            <tr class="small">
              <td colSpan={heatmapOf ? 3 : 2}>{measured && `${describeRate(one, card)} ${describeSet(one)}`}</td>
            </tr>
          </tbody>
        ))}
      </table>
    </>
  );
}

/** What was observed at such a score, beside how common the finding was: a score may mean less than the average. */
function describeRate({ label, band }: FindingAnswer, card: Card): string {
  const parsed = parseBand(band);
  if (!parsed) return t("panel.no-band");
  const prior = card.findings?.find((one) => one.name === label)?.prior;
  const all = prior === undefined ? "" : t("panel.finding-common", { n: Math.round(100 * prior) });
  return `${describeBand(parsed, labelName(label))} ${all}`.trim();
}

/** What the prediction set leaves possible: presence, absence, both or neither; empty where the card has no sets. */
function describeSet({ label, prediction_set: set }: FindingAnswer): string {
  if (!set) return "";
  const [present, absent] = [set.labels.includes(label), set.labels.some((one) => one !== label)];
  if (present && absent) return t("panel.finding-open");
  if (present) return t("panel.finding-present");
  return t(absent ? "panel.finding-absent" : "panel.finding-neither");
}

/** What the table above rests on: how common each finding was, the images in its band, its threshold's performance. */
export function FindingBasis({ findings, card }: { findings: FindingAnswer[]; card: Card }) {
  const coverage = findings.find((one) => one.prediction_set)?.prediction_set?.coverage;
  return (
    <>
      <ScrollArea label={t("panel.findings-basis")}>
        <table class="scores findings-basis small">
          <caption>{t("panel.findings-basis")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("panel.finding")}</th>
              <th scope="col">{t("panel.finding-prior")}</th>
              <th scope="col">{t("panel.finding-images")}</th>
              <th scope="col">{t("model.metric.sensitivity")}</th>
              <th scope="col">{t("model.metric.specificity")}</th>
            </tr>
          </thead>
          <tbody>
            {findings.map(({ label, band, operating_point }) => {
              const view = viewOfFinding(card, label);
              const point = view.operating_points?.find((one) => one.name === operating_point.name);
              const prior = view.class_prior?.[0];
              const images = parseBand(band)?.n;
              return (
                <tr key={label}>
                  <th scope="row">{labelName(label)}</th>
                  <td>{prior !== undefined && t("read.of-100", { n: Math.round(prior * 100) })}</td>
                  <td>{images !== undefined && Math.round(images)}</td>
                  <td>{point && formatEstimate(point.sensitivity)}</td>
                  <td>{point && formatEstimate(point.specificity)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </ScrollArea>
      {coverage !== undefined && (
        <p class="small soft">{t("panel.finding-set-words", { n: Math.round(coverage * 100) })}</p>
      )}
    </>
  );
}
