// Figures with their intervals, as text and as rows with a line from limit to limit. No figure is shown without its
// interval; if there is none, the text says that it can't be estimated.

import type { ComponentChildren } from "preact";
import type { Estimate } from "../api/card";
import { formatNumber, language, t } from "../i18n";
import { Said } from "./said";
import { ScrollArea } from "./scroll-area";
import "./estimate.css";

export type { Estimate };

/** Return a figure as text: "0.939 [0.911, 0.959]". */
export function formatEstimate({ value, low, high }: Estimate, decimals = 3): string {
  if (value === null) return t("dash.not-estimable");
  const limits =
    typeof low === "number" && typeof high === "number"
      ? t("dash.limits", { low: formatNumber(low, decimals), high: formatNumber(high, decimals) })
      : t("dash.no-interval");
  return `${formatNumber(value, decimals)} [${limits}]`;
}

/** Return a share as a percentage: "94% [91, 96]". It has enough decimals to differ from 0% and 100%. */
export function formatShare({ value, low, high }: Estimate): string {
  if (value === null) return t("dash.not-estimable");
  const bounded = typeof low === "number" && typeof high === "number";
  const decimals = Math.max(...[value, ...(bounded ? [low, high] : [])].map(countDecimals));
  const limits = bounded
    ? t("dash.limits", { low: formatNumber(100 * low, decimals), high: formatNumber(100 * high, decimals) })
    : t("dash.no-interval");
  return `${formatPercent(value, decimals)} [${limits}]`;
}

/** Return how many decimals (at most 3) a share needs as a percentage so that it reads as 0 or 100 only if it is. */
function countDecimals(share: number): number {
  const rest = 100 * Math.min(share, 1 - share);
  return rest <= 0 || rest >= 1.5 ? 0 : Math.min(3, Math.max(1, Math.ceil(-Math.log10(2 * rest))));
}

/** Return a share as a percentage in the format of the page's language. */
function formatPercent(share: number, decimals: number): string {
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return share.toLocaleString(language.value, { style: "percent", ...digits });
}

export interface IntervalRow {
  key: string;
  name: ComponentChildren;
  /** The figure's meaning in plain words. */
  hint?: string;
  estimate: Estimate;
}

interface Props {
  caption: string;
  rows: IntervalRow[];
  /** The range of the axis. */
  range?: [number, number];
  /** A value to mark, such as chance. */
  mark?: number;
  format?: (estimate: Estimate) => string;
}

/** A table of figures, each with a line from its lower to its upper limit. */
export function IntervalTable({ caption, rows, range = [0, 1], mark, format = formatEstimate }: Props) {
  const formatEnd = (value: number) => (format === formatShare ? formatPercent(value, 0) : formatNumber(value, 0));
  return (
    <ScrollArea label={caption}>
      <table class="intervals">
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{t("dash.figure")}</th>
            <th scope="col" class="interval-axis">
              <span>{formatEnd(range[0])}</span>
              <span>{formatEnd(range[1])}</span>
            </th>
            <th scope="col">{t("dash.value")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, name, hint, estimate }) => (
            <tr key={key}>
              <th scope="row">
                {name}
                {hint && <span class="soft small interval-hint">{hint}</span>}
              </th>
              <td class="interval-line">
                <IntervalLine estimate={estimate} range={range} {...(mark === undefined ? {} : { mark })} />
              </td>
              <td class="interval-value">
                {format(estimate)}
                {estimate.note && (
                  <span class="soft small interval-hint">
                    <Said by="method" text={estimate.note} />
                  </span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}

const WIDTH = 200;
const HEIGHT = 18;

/** A point with a line from limit to limit; the line is dashed across the whole axis where there are no limits. */
function IntervalLine({ estimate, range, mark }: { estimate: Estimate; range: [number, number]; mark?: number }) {
  const [from, to] = range;
  const toX = (value: number) => ((Math.min(to, Math.max(from, value)) - from) / (to - from)) * (WIDTH - 8) + 4;
  const { value, low, high } = estimate;
  const middle = HEIGHT / 2;
  const bounded = typeof low === "number" && typeof high === "number";
  return (
    <svg class="line" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="line-axis" d={`M4 ${middle}H${WIDTH - 4}`} />
      {mark !== undefined && <path class="line-mark" d={`M${toX(mark)} 2V${HEIGHT - 2}`} />}
      {value !== null && (
        <path
          class={bounded ? "line-limits" : "line-open"}
          d={`M${bounded ? toX(low) : 4} ${middle}H${bounded ? toX(high) : WIDTH - 4}`}
        />
      )}
      {value !== null && <path class="line-point" d={`M${toX(value)} 3V${HEIGHT - 3}`} />}
    </svg>
  );
}
