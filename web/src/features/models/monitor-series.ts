// The weeks of a monitor as one series a measure, and the lines that draw them. Pure functions, without texts.
import type { components } from "../../api/schema";

type Week = components["schemas"]["MonitorWeek"];

export interface MeasureSeries {
  name: string;
  /** The baseline's value. */
  before: number;
  /** The weeks, oldest first; `now` is null in a week without patients. */
  points: { now: number | null; alarm: boolean }[];
}

/** Return each measure over the weeks. All weeks have the same measures in the same order. */
export function listMeasures(weeks: readonly Week[]): MeasureSeries[] {
  return (weeks[0]?.measures ?? []).map(({ name, before }, place) => ({
    name,
    before,
    points: weeks.map((week) => ({
      now: week.measures[place]?.now ?? null,
      alarm: week.measures[place]?.alarm ?? false,
    })),
  }));
}

/**
 * Return a series as SVG in a box of 100 by 40: its line (broken where a week has no value), the height of the
 * baseline, and the alarms.
 */
export function sparkline({ before, points }: MeasureSeries): {
  line: string;
  baseline: number;
  dots: [number, number][];
} {
  const values = [before, ...points.flatMap(({ now }) => (now === null ? [] : [now]))];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const toY = (value: number) => (high === low ? 20 : Math.round(37 - (34 * (value - low)) / (high - low)));
  const toX = (place: number) => (points.length < 2 ? 50 : Math.round(2 + (96 * place) / (points.length - 1)));
  let line = "";
  let broken = true;
  const dots: [number, number][] = [];
  points.forEach(({ now, alarm }, place) => {
    if (now === null) {
      broken = true;
      return;
    }
    line += `${broken ? "M" : "L"}${toX(place)} ${toY(now)}`;
    broken = false;
    if (alarm) dots.push([toX(place), toY(now)]);
  });
  return { line, baseline: toY(before), dots };
}

/** Return whether no measure of a week is tested, and the newest week with an alarm, where there is one. */
export function concludeWeeks(weeks: readonly Week[]): { isUntested: boolean; lastAlarm: Week | undefined } {
  const newest = weeks.at(-1);
  return {
    isUntested: newest?.measures.every((one) => one.p_value === null) ?? true,
    lastAlarm: weeks.findLast((week) => week.measures.some((one) => one.alarm)),
  };
}
