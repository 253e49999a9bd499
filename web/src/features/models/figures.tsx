// A model's performance. Test and validation are separate: the test was opened last, validation chose the model.

import type { Card, PartMetrics } from "../../api/card";
import type { ModelDetail } from "../../api/types";
import { type Estimate, formatEstimate, IntervalTable } from "../../components/estimate";
import { Said } from "../../components/said";
import { ScrollArea } from "../../components/scroll-area";
import { formatDateTime, formatNumber, t, translateTerm } from "../../i18n";
import { knowsEvidence, listOpenings, selectHeadline, selectShown } from "./card-facts";
import { classLabel, explainFigure, nameFigure } from "./figure-names";

export function Figures({ model, card }: { model: ModelDetail; card: Card }) {
  const openings = listOpenings(model);
  return (
    <>
      <p class="soft">{t("model.figures-lead")}</p>
      <h3>{t("model.test")}</h3>
      {openings.length === 0 && <p>{t(knowsEvidence(model) ? "model.test-none" : "model.test-unknown")}</p>}
      {openings.map((opening) => (
        <div key={opening.time}>
          <p>
            {t("model.opened", { at: formatDateTime(opening.time), images: formatNumber(opening.images, 0) })}{" "}
            {t(opening.earlier_openings === 0 ? "model.opened-first" : "model.opened-again", {
              count: opening.earlier_openings,
            })}{" "}
            <GroupKind kind={opening.group_kind} />
          </p>
          {opening.note && (
            <p class="soft small" lang="en">
              {opening.note}
            </p>
          )}
          <HeadlineTable title={t("model.test")} figures={selectHeadline(card, opening.headline)} />
        </div>
      ))}
      {card.metrics.map((part) => (
        <PartFigures key={part.part} card={card} part={part} />
      ))}
      <SourceFigures card={card} />
    </>
  );
}

function PartFigures({ card, part }: { card: Card; part: PartMetrics }) {
  const name = translateTerm("model.part", part.part);
  return (
    <>
      <h3>{name}</h3>
      <p>
        {t("model.measured", { images: formatNumber(part.images, 0), groups: formatNumber(part.groups, 0) })}{" "}
        <GroupKind kind={part.group_kind} /> {part.part === "validation" && t("model.validation-note")}
      </p>
      <HeadlineTable title={name} figures={selectHeadline(card, part.metrics)} />
      <details>
        <summary>{t("model.all-figures")}</summary>
        <AllFigures metrics={selectShown(card, part.metrics)} />
      </details>
    </>
  );
}

function HeadlineTable({ title, figures }: { title: string; figures: [string, Estimate][] }) {
  return (
    <IntervalTable
      caption={title}
      rows={figures.map(([key, estimate]) => {
        const hint = explainFigure(key);
        return { key, name: nameFigure(key), estimate, ...(hint ? { hint } : {}) };
      })}
    />
  );
}

function AllFigures({ metrics }: { metrics: Record<string, Estimate> }) {
  return (
    <ScrollArea label={t("model.all-figures")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("dash.figure")}</th>
            <th scope="col">{t("dash.value")}</th>
            <th scope="col">{t("dash.how")}</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(metrics).map(([key, estimate]) => (
            <tr key={key}>
              <th scope="row">{nameFigure(key)}</th>
              <td>{formatEstimate(estimate)}</td>
              <td class="soft small">
                {estimate.method && <Said by="method" text={estimate.method} />}
                {estimate.method && estimate.note && "; "}
                {estimate.note && <Said by="method" text={estimate.note} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}

/** Says whether groups are patients. If they are not, the true interval is wider. */
function GroupKind({ kind }: { kind: string }) {
  return <>{t(kind === "patient" ? "model.by-patient" : "model.by-image")}</>;
}

function SourceFigures({ card }: { card: Card }) {
  const sources = Object.entries(card.metrics_by_source ?? {});
  if (sources.length < 2) return null;
  const primary = card.labels[0]?.name ?? "";
  const point = card.default_operating_point;
  const keys = [`${point}/sensitivity`, `${point}/specificity`];
  if (card.kind !== "multilabel") keys.unshift("balanced_accuracy");
  return (
    <>
      <h3>{t("model.by-source")}</h3>
      <p>{t("model.by-source-lead", { label: classLabel(primary) })}</p>
      {keys.map((key) => (
        <div key={key}>
          <h4>{nameFigure(key)}</h4>
          <IntervalTable
            caption={nameFigure(key)}
            rows={sources.flatMap(([source, parts]) =>
              parts.map((part) => ({
                key: `${source}/${part.part}`,
                name: t("model.source-images", { source, images: formatNumber(part.images, 0) }),
                estimate: part.metrics[key] ?? { value: null },
              })),
            )}
          />
        </div>
      ))}
    </>
  );
}
