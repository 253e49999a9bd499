// Measuring on a pane: which tool is at work, and what a measurement says.
import { formatNumber, type Key, t } from "../../i18n";
import { measureLength, type Point } from "./geometry";
import {
  isComplete,
  isMeasureKind,
  type MeasureKind,
  type Measurement,
  measureAngle,
  measureRatio,
} from "./measurements";
import type { Pane } from "./pane";
import type { ViewerStore } from "./viewer-store";

/** Return the tool that measures on an image; null for other tools, and for lengths without a scale. */
export function measuringTool(store: ViewerStore, pane: Pane): MeasureKind | null {
  const tool = store.tool.value;
  if (!isMeasureKind(tool)) return null;
  return tool === "length" && pane.ruler === null ? null : tool;
}

/** What comes after the first line. */
const NEXT: Record<MeasureKind, Key> = {
  length: "view.length.begun",
  angle: "view.angle.leg",
  ratio: "view.ratio.chest",
};

/** Say a measurement's value, or, while it is being drawn, what comes next. */
export function announceMeasurement(
  store: ViewerStore,
  pane: Pane,
  measurement: Measurement | undefined = pane.measurements.value.at(-1),
): void {
  if (!measurement) return;
  const { kind, points } = measurement;
  store.announcement.value = isComplete(measurement)
    ? formatMeasurement(pane, measurement)
    : t(points.length === 2 ? NEXT[kind] : "view.length.begun");
}

/** Return a measurement's value with its unit and what limits it. */
export function formatMeasurement(pane: Pane, { kind, points, proposed }: Measurement): string {
  if (kind === "angle") return t("view.degrees", { value: formatNumber(measureAngle(pane.frame, points), 0) });
  if (kind === "ratio") {
    const value = formatNumber(measureRatio(pane.frame, points), 2);
    const ratio = t(proposed ? "view.ratio.proposed" : "view.ratio", { value });
    return pane.image.facts.view === "AP" ? `${ratio} (${t("view.ratio.ap")})` : ratio;
  }
  const value = formatNumber(measureLength(pane.frame, points as [Point, Point]), 1);
  return t(pane.ruler === "detector" ? "view.mm.detector" : "view.mm", { value });
}
