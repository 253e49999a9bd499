// The monitor of one model, for admins: week by week, does it still meet what it met at its acceptance? The request
// counts as having seen the answers of these weeks, so the page asks first.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body, me } from "../../api/client";
import { loadModels, modelName, models } from "../../api/models";
import type { components } from "../../api/schema";
import { Badge } from "../../components/badge";
import { usePageTitle } from "../../components/page-title";
import { ProblemNote } from "../../components/problem";
import { ScrollArea } from "../../components/scroll-area";
import { formatNumber, labelName, language, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { concludeWeeks, listMeasures, type MeasureSeries, sparkline } from "./monitor-series";
import "./models.css";

type Report = components["schemas"]["MonitorReport"];
type Measure = components["schemas"]["MonitorMeasure"];

const WEEKS = [12, 26, 52];
const FALSE_ALARMS = [1, 4, 12];
/** Measures that are shares; the others are medians. */
const SHARES = ["refusals", "agreement"];

export default function MonitorPage({ id }: { id: string }) {
  const report = useSignal<Report | null>(null);
  const problem = useSignal<unknown>(null);
  const busy = useSignal(false);
  const weeks = useSignal(12);
  const falseAlarms = useSignal(1);
  const finding = useSignal("");
  const model = models.value?.find((one) => one.id === id);
  useEffect(() => {
    loadModels().catch((error: unknown) => {
      problem.value = error;
    });
  }, [problem]);
  const title = t("monitor.title", { model: modelName(id) });
  usePageTitle(title);
  const load = async () => {
    problem.value = null;
    busy.value = true;
    try {
      const query = {
        weeks: weeks.value,
        false_alarms: falseAlarms.value,
        ...(finding.value && { finding: finding.value }),
      };
      report.value = await body(api.GET("/api/monitor/{model}", { params: { path: { model: id }, query } }));
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  };
  return (
    <article class="page monitor">
      <p class="small">
        <a href={href.model(id)}>{modelName(id)}</a>
      </p>
      <h1>{title}</h1>
      <p class="lead soft">{t("monitor.lead")}</p>
      {me.value?.role !== "admin" ? (
        <p class="note">{t("problem.admins-only")}</p>
      ) : (
        <form
          class="monitor-ask"
          onSubmit={(event) => {
            event.preventDefault();
            void load();
          }}
        >
          <NumberSelect label={t("monitor.weeks")} values={WEEKS} value={weeks} />
          <NumberSelect label={t("monitor.false-alarms")} values={FALSE_ALARMS} value={falseAlarms} />
          {model?.kind === "multilabel" && (
            <label class="field">
              <span>{t("panel.finding")}</span>
              <select
                value={finding.value || (model.labels[0] ?? "")}
                onChange={(event) => {
                  finding.value = event.currentTarget.value;
                }}
              >
                {model.labels.map((label) => (
                  <option key={label} value={label}>
                    {labelName(label)}
                  </option>
                ))}
              </select>
            </label>
          )}
          <button type="submit" class="primary" disabled={busy.value}>
            {t("monitor.show")}
          </button>
          <p class="soft small">{t("monitor.counts")}</p>
        </form>
      )}
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void load()} />}
      {report.value && <MonitorWeeks report={report.value} />}
    </article>
  );
}

function NumberSelect({ label, values, value }: { label: string; values: number[]; value: { value: number } }) {
  return (
    <label class="field">
      <span>{label}</span>
      <select
        value={value.value}
        onChange={(event) => {
          value.value = Number(event.currentTarget.value);
        }}
      >
        {values.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  );
}

function MonitorWeeks({ report }: { report: Report }) {
  const newest = report.weeks.at(-1);
  const alarms = newest?.measures.filter((one) => one.alarm) ?? [];
  const { isUntested, lastAlarm } = concludeWeeks(report.weeks);
  const series = listMeasures(report.weeks);
  const fromCard = report.baseline === "card";
  const values = { level: formatNumber(report.level, 4), n: formatNumber(report.false_alarms_per_year, 0) };
  return (
    <>
      {report.finding && (
        <p>
          {t("panel.finding")}: <strong>{labelName(report.finding)}</strong>
        </p>
      )}
      <p class={alarms.length > 0 ? "problem" : "monitor-calm"} role="status">
        {alarms.length > 0
          ? t("monitor.alarm", { measures: nameMeasures(alarms) })
          : t(isUntested ? "monitor.newest-untested" : "monitor.no-alarm")}{" "}
        {alarms.length === 0 &&
          lastAlarm &&
          t("monitor.last-alarm", {
            day: formatDay(lastAlarm.first_day),
            measures: nameMeasures(lastAlarm.measures.filter((one) => one.alarm)),
          })}
      </p>
      <p class="small soft">
        {t("monitor.rule", values)} {t(fromCard ? "monitor.base-card" : "monitor.base-acceptance")}{" "}
        {!fromCard && <span lang="en">({report.baseline_words})</span>}
      </p>
      <div class="monitor-series">
        {series.map((one) => (
          <Series key={one.name} series={one} />
        ))}
      </div>
      {Object.keys(report.not_measured ?? {}).length > 0 && (
        <ul class="small soft">
          {Object.entries(report.not_measured).map(([name, why]) => (
            <li key={name}>
              {t("monitor.not-watched", { measure: measureTitle(name) })} <span lang="en">{why}.</span>
            </li>
          ))}
        </ul>
      )}
      <ScrollArea label={t("monitor.table")}>
        <table class="monitor-table">
          <caption class="hidden">{t("monitor.table")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("monitor.week")}</th>
              <th scope="col" class="figure">
                {t("monitor.patients")}
              </th>
              {series.map((one) => (
                <th key={one.name} scope="col" class="figure">
                  {measureTitle(one.name)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {[...report.weeks].reverse().map((week) => (
              <tr key={week.first_day}>
                <th scope="row">{formatDay(week.first_day)}</th>
                <td class="figure">{formatNumber(week.patients, 0)}</td>
                {week.measures.map((one) => (
                  <td key={one.name} class="figure">
                    <MeasureCell measure={one} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollArea>
    </>
  );
}

/** A measure over the weeks: a line, the baseline dashed, the alarms as dots. The table below holds the numbers. */
function Series({ series }: { series: MeasureSeries }) {
  const { line, baseline, dots } = sparkline(series);
  const newest = series.points.at(-1);
  return (
    <figure class="sheet">
      <figcaption>
        {measureTitle(series.name)}
        <strong>{newest?.now == null ? "–" : formatMeasure(series.name, newest.now)}</strong>
        <span class="soft small">{t("monitor.before", { value: formatMeasure(series.name, series.before) })}</span>
      </figcaption>
      <svg viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
        <path class="monitor-base" d={`M0 ${baseline}H100`} />
        <path class="monitor-line" d={line} />
        {dots.map(([x, y]) => (
          <path key={x} class="monitor-dot" d={`M${x} ${y}h.01`} />
        ))}
      </svg>
    </figure>
  );
}

function MeasureCell({ measure }: { measure: Measure }) {
  if (measure.now == null) return <span class="soft">–</span>;
  const value = formatMeasure(measure.name, measure.now);
  return (
    <>
      {measure.alarm && <Badge tone="bad">{t("monitor.alarm-word")}</Badge>} {value}{" "}
      <span class="soft small">
        {measure.p_value == null ? t("monitor.untested") : `p ${formatNumber(measure.p_value, 3)}`}
      </span>
    </>
  );
}

function nameMeasures(measures: readonly Measure[]): string {
  return measures.map((one) => measureTitle(one.name)).join(", ");
}

function measureTitle(name: string): string {
  return translateTerm("monitor.measure", name);
}

function formatMeasure(name: string, value: number): string {
  if (!SHARES.includes(name)) return formatNumber(value, 2);
  return value.toLocaleString(language.value, { style: "percent", maximumFractionDigits: 1 });
}

function formatDay(day: string): string {
  return new Date(day).toLocaleDateString(language.value, { dateStyle: "medium", timeZone: "UTC" });
}
