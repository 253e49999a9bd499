// What a score means: the rates observed at such scores, likelihood ratios, prediction sets and calibration.

import type { Card } from "../../api/card";
import { formatEstimate, formatShare, IntervalTable } from "../../components/estimate";
import { Said } from "../../components/said";
import { ScrollArea } from "../../components/scroll-area";
import { formatNumber, t, translateTerm } from "../../i18n";
import { holdsEveryScore } from "../study/score-format";
import { classLabel, nameFigure } from "./figure-names";

export function Scores({ card }: { card: Card }) {
  const primary = classLabel(card.labels[0]?.name ?? "");
  const bands = card.score_bands ?? [];
  const ratios = card.likelihood_ratios ?? [];
  const sets = card.prediction_sets;
  const always = Object.entries(sets?.thresholds ?? {}).flatMap(([label, limit]) => (limit === 0 ? [label] : []));
  return (
    <>
      {bands.some(holdsEveryScore) && (
        <>
          <h3>{t("model.bands")}</h3>
          <p>{t("panel.band-too-few")}</p>
        </>
      )}
      {bands.length > 0 && !bands.some(holdsEveryScore) && (
        <>
          <h3>{t("model.bands")}</h3>
          <p>{t("model.bands-lead", { label: primary })}</p>
          <IntervalTable
            caption={t("model.bands")}
            format={formatShare}
            rows={bands.map((band) => ({
              key: String(band.low),
              name: t("model.band", {
                low: formatNumber(band.low, 3),
                high: formatNumber(band.high, 3),
                n: formatNumber(band.n, 0),
              }),
              estimate: { value: band.rate, low: band.rate_low, high: band.rate_high },
            }))}
          />
        </>
      )}
      <h3>{t("model.prior")}</h3>
      <p>
        {card.kind === "multilabel"
          ? t("model.finding-prior", { n: formatNumber(100 * (card.class_prior[0] ?? 0), 0), label: primary })
          : t("model.prior-lead", {
              shares: card.labels
                .map(
                  (label, index) =>
                    `${classLabel(label.name)} ${formatNumber(100 * (card.class_prior[index] ?? 0), 0)}%`,
                )
                .join(", "),
            })}
      </p>
      {ratios.length > 0 && (
        <>
          <h3>{t("model.ratios")}</h3>
          <p>{t("model.ratios-lead", { label: primary })}</p>
          <ScrollArea label={t("model.ratios")}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("model.score")}</th>
                  <th scope="col">{t("model.ratio")}</th>
                  <th scope="col">{t("model.ratio-of", { label: primary })}</th>
                  <th scope="col">{t("model.ratio-others")}</th>
                </tr>
              </thead>
              <tbody>
                {ratios.map((band) => (
                  <tr key={band.low}>
                    <th scope="row">
                      {formatNumber(band.low, 3)} – {formatNumber(band.high, 3)}
                    </th>
                    <td>{formatEstimate(band.ratio, 2)}</td>
                    <td>{formatNumber(band.positives, 0)}</td>
                    <td>{formatNumber(band.negatives, 0)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </ScrollArea>
        </>
      )}
      {sets && (
        <>
          <h3>{t("model.sets")}</h3>
          <p>
            {t("model.sets-lead", { share: formatNumber(100 * (1 - sets.alpha), 0) })}{" "}
            {sets.measured_on && (
              <span>
                (<Said by="measured" text={sets.measured_on} />)
              </span>
            )}
          </p>
          {always.length > 0 && <p>{t("model.sets-all", { labels: always.map(classLabel).join(", ") })}</p>}
          <IntervalTable
            caption={t("model.sets")}
            format={formatShare}
            mark={1 - sets.alpha}
            rows={Object.entries(sets.coverage ?? {}).map(([label, estimate]) => ({
              key: label,
              name: t("model.covered", { label: classLabel(label) }),
              estimate,
            }))}
          />
        </>
      )}
      <h3>{t("model.calibration")}</h3>
      <Calibration card={card} />
    </>
  );
}

/** How far scores can be read as probabilities, measured on the part that chose the model. */
function Calibration({ card }: { card: Card }) {
  const part = card.metrics[0];
  const figures = ["calibration_slope", "calibration_intercept", "calibration_error"].flatMap((name) =>
    card.labels.flatMap(({ name: label }) => {
      const estimate = part?.metrics[`${label}/${name}`];
      return estimate ? [{ key: `${label}/${name}`, name, estimate }] : [];
    }),
  );
  return (
    <>
      <p>{t("model.calibration-how", { temperature: formatNumber(card.temperature, 3) })}</p>
      {part && figures.length > 0 && (
        <ScrollArea label={t("model.calibration")}>
          <table>
            <thead>
              <tr>
                <th scope="col">
                  {translateTerm("model.part", part.part)}, {t("model.images", { count: formatNumber(part.images, 0) })}
                </th>
                <th scope="col">{t("dash.value")}</th>
                <th scope="col">{t("model.ideal")}</th>
              </tr>
            </thead>
            <tbody>
              {figures.map(({ key, name, estimate }) => (
                <tr key={key}>
                  <th scope="row">{nameFigure(key)}</th>
                  <td>{formatEstimate(estimate)}</td>
                  <td>{formatNumber(name === "calibration_slope" ? 1 : 0, 0)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollArea>
      )}
    </>
  );
}
