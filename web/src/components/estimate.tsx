// Figures with their intervals: as text, and as rows with a line from limit to limit. No figure is shown without one;
// where it can't be estimated, that is said in its place.

import type { ComponentChildren } from "preact";
import type { Estimate } from "../api/card";
import { language, number, t } from "../i18n";
import { Scroll } from "./scroll-area";
import "./estimate.css";

export type { Estimate };

/** Return a figure as text: "0.939 [0.911, 0.959]". */
export function asText({ value, low, high }: Estimate, decimals = 3): string {
  if (value === null) return t("dash.not-estimable");
  const limits =
    typeof low === "number" && typeof high === "number"
      ? t("dash.limits", { low: number(low, decimals), high: number(high, decimals) })
      : t("dash.no-interval");
  return `${number(value, decimals)} [${limits}]`;
}

/** Return a share as text in per cent: "94% [91, 96]"; with as many decimals as show that it is not none or all. */
export function asShare({ value, low, high }: Estimate): string {
  if (value === null) return t("dash.not-estimable");
  const whole = typeof low === "number" && typeof high === "number";
  const decimals = Math.max(...[value, ...(whole ? [low, high] : [])].map(decimalsOf));
  const limits = whole
    ? t("dash.limits", { low: number(100 * low, decimals), high: number(100 * high, decimals) })
    : t("dash.no-interval");
  return `${percent(value, decimals)} [${limits}]`;
}

/** Return how many decimals (3 at most) a share needs so that in per cent it reads as neither 0 nor 100 unless it is. */
function decimalsOf(share: number): number {
  const rest = 100 * Math.min(share, 1 - share);
  return rest <= 0 || rest >= 1.5 ? 0 : Math.min(3, Math.max(1, Math.ceil(-Math.log10(2 * rest))));
}

/** Return a share in per cent, as the page's language writes it. */
function percent(share: number, decimals: number): string {
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return share.toLocaleString(language.value, { style: "percent", ...digits });
}

export interface Row {
  key: string;
  name: ComponentChildren;
  /** What the figure means, in plain words. */
  hint?: string;
  estimate: Estimate;
}

interface Props {
  caption: string;
  rows: Row[];
  /** What the ends of the lines' axis are. */
  range?: [number, number];
  /** A value to mark, such as chance. */
  mark?: number;
  say?: (estimate: Estimate) => string;
}

/** A table of figures, each with a line from its lower to its upper limit. */
export function Intervals({ caption, rows, range = [0, 1], mark, say = asText }: Props) {
  const end = (value: number) => (say === asShare ? percent(value, 0) : number(value, 0));
  return (
    <Scroll label={caption}>
      <table class="intervals">
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{t("dash.figure")}</th>
            <th scope="col" class="interval-axis">
              <span>{end(range[0])}</span>
              <span>{end(range[1])}</span>
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
                <Line estimate={estimate} range={range} {...(mark === undefined ? {} : { mark })} />
              </td>
              <td class="interval-value">
                {say(estimate)}
                {estimate.note && (
                  <span class="soft small interval-hint" lang="en">
                    {estimate.note}
                  </span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

const WIDTH = 200;
const HEIGHT = 18;

/** A point with a line from limit to limit; the line is dashed across the whole axis where there are no limits. */
export function Line({ estimate, range, mark }: { estimate: Estimate; range: [number, number]; mark?: number }) {
  const [from, to] = range;
  const at = (value: number) => ((Math.min(to, Math.max(from, value)) - from) / (to - from)) * (WIDTH - 8) + 4;
  const { value, low, high } = estimate;
  const middle = HEIGHT / 2;
  const whole = typeof low === "number" && typeof high === "number";
  return (
    <svg class="line" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="line-axis" d={`M4 ${middle}H${WIDTH - 4}`} />
      {mark !== undefined && <path class="line-mark" d={`M${at(mark)} 2V${HEIGHT - 2}`} />}
      {value !== null && (
        <path
          class={whole ? "line-limits" : "line-open"}
          d={`M${whole ? at(low) : 4} ${middle}H${whole ? at(high) : WIDTH - 4}`}
        />
      )}
      {value !== null && <path class="line-point" d={`M${at(value)} 3V${HEIGHT - 3}`} />}
    </svg>
  );
}
