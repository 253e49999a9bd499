// How well a model did. Test and validation stand apart: the one was opened after everything was fixed, the other chose.

import type { Card, PartMetrics } from "../../api/card";
import type { ModelDetail } from "../../api/types";
import { asText, type Estimate, Intervals } from "../../components/estimate";
import { Scroll } from "../../components/scroll-area";
import { moment, number, t, word } from "../../i18n";
import { headline, openingsOf } from "./card-facts";
import { className, figureHint, figureName } from "./figure-names";

export function Figures({ model, card }: { model: ModelDetail; card: Card }) {
  const openings = openingsOf(model);
  return (
    <>
      <p class="soft">{t("model.figures-lead")}</p>
      <h3>{t("model.test")}</h3>
      {openings.length === 0 && <p>{t("model.test-none")}</p>}
      {openings.map((opening) => (
        <div key={opening.time}>
          <p>
            {t("model.opened", { at: moment(opening.time), images: number(opening.images, 0) })}{" "}
            {t(opening.earlier_openings === 0 ? "model.opened-first" : "model.opened-again", {
              count: opening.earlier_openings,
            })}{" "}
            <Kind kind={opening.group_kind} />
          </p>
          {opening.note && (
            <p class="soft small" lang="en">
              {opening.note}
            </p>
          )}
          <Rows title={t("model.test")} figures={headline(card, opening.headline)} />
        </div>
      ))}
      {card.metrics.map((part) => (
        <Part key={part.part} card={card} part={part} />
      ))}
      <BySource card={card} />
    </>
  );
}

function Part({ card, part }: { card: Card; part: PartMetrics }) {
  const name = word("model.part", part.part);
  return (
    <>
      <h3>{name}</h3>
      <p>
        {t("model.measured", { images: number(part.images, 0), groups: number(part.groups, 0) })}{" "}
        <Kind kind={part.group_kind} /> {part.part === "validation" && t("model.validation-note")}
      </p>
      <Rows title={name} figures={headline(card, part.metrics)} />
      <details>
        <summary>{t("model.all-figures")}</summary>
        <AllFigures metrics={part.metrics} />
      </details>
    </>
  );
}

function Rows({ title, figures }: { title: string; figures: [string, Estimate][] }) {
  return (
    <Intervals
      caption={title}
      rows={figures.map(([key, estimate]) => {
        const hint = figureHint(key);
        return { key, name: figureName(key), estimate, ...(hint ? { hint } : {}) };
      })}
    />
  );
}

function AllFigures({ metrics }: { metrics: Record<string, Estimate> }) {
  return (
    <Scroll label={t("model.all-figures")}>
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
              <th scope="row">{figureName(key)}</th>
              <td>{asText(estimate)}</td>
              <td class="soft small" lang="en">
                {[estimate.method, estimate.note].filter(Boolean).join("; ")}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** Whether groups are patients: if not, the true interval is wider, and every figure says so. */
export function Kind({ kind }: { kind: string }) {
  return <>{t(kind === "patient" ? "model.by-patient" : "model.by-image")}</>;
}

function BySource({ card }: { card: Card }) {
  const sources = Object.entries(card.metrics_by_source ?? {});
  if (sources.length < 2) return null;
  const primary = card.labels[0]?.name ?? "";
  const point = card.default_operating_point;
  const wanted = ["balanced_accuracy", `${point}/sensitivity`, `${point}/specificity`];
  return (
    <>
      <h3>{t("model.by-source")}</h3>
      <p>{t("model.by-source-lead", { label: className(primary) })}</p>
      {wanted.map((key) => (
        <div key={key}>
          <h4>{figureName(key)}</h4>
          <Intervals
            caption={figureName(key)}
            rows={sources.flatMap(([source, parts]) =>
              parts.map((part) => ({
                key: `${source}/${part.part}`,
                name: t("model.source-images", { source, images: number(part.images, 0) }),
                estimate: part.metrics[key] ?? { value: null },
              })),
            )}
          />
        </div>
      ))}
    </>
  );
}
