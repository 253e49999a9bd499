import { expect, test } from "vitest";
import { concludeWeeks, listMeasures, sparkline } from "./monitor-series";

const measure = (name: string, now: number | null, alarm = false) => ({
  name,
  title: name,
  now,
  before: 0.1,
  patients: 20,
  baseline_patients: 200,
  p_value: null,
  alarm,
  note: "",
});

test("each measure becomes a series over the weeks, and a week without patients breaks its line", () => {
  const weeks = [measure("refusals", 0.1), measure("refusals", null), measure("refusals", 0.5, true)].map(
    (one, place) => ({ first_day: `2026-01-0${place + 1}`, patients: 20, measures: [one] }),
  );
  const [series] = listMeasures(weeks);
  expect(series?.points.map(({ now }) => now)).toEqual([0.1, null, 0.5]);
  if (!series) throw new Error("no series");
  // The lowest value is at the bottom of the box of 40 (y = 37), the highest at its top (y = 3).
  expect(sparkline(series)).toEqual({ line: "M2 37M98 3", baseline: 37, dots: [[98, 3]] });
  expect(listMeasures([])).toEqual([]);
});

test("a week that is not tested is no week without an alarm, and the last alarm is found", () => {
  const week = (day: number, alarm: boolean, p: number | null) => ({
    first_day: `2026-01-0${day}`,
    patients: 20,
    measures: [{ ...measure("scores", 0.5, alarm), p_value: p }],
  });
  const weeks = [week(1, true, 0.001), week(2, true, 0.002), week(3, false, null)];
  expect(concludeWeeks(weeks).isUntested).toBe(true);
  expect(concludeWeeks(weeks).lastAlarm?.first_day).toBe("2026-01-02");
  expect(concludeWeeks([week(1, false, 0.4)])).toEqual({ isUntested: false, lastAlarm: undefined });
});
