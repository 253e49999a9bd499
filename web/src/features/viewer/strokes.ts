// Painting: strokes in pixels of the stored image, as an occlusion request expects them.
import { t } from "../../i18n";
import type { Point } from "./geometry";
import type { Pane } from "./pane";
import { brushRadius, type ViewerStore } from "./viewer-store";

/** The limits of the server's schema. */
const STROKES = 200;
const POINTS = 5000;
/** The smallest distance of two points as a share of the radius; closer points make no visible difference. */
const SPACING = 0.2;

const hundredth = (value: number) => Math.round(100 * value) / 100;
/** Integer coordinates are the centres of pixels in a stroke, but their corners in the viewer. */
export const HALF = 0.5;
const toStored = ([x, y]: Point): [number, number] => [hundredth(x - HALF), hundredth(y - HALF)];
const countPoints = (store: ViewerStore) => store.open.strokes.value.reduce((sum, one) => sum + one.points.length, 0);

export function beginStroke(store: ViewerStore, pane: Pane, point: Point): void {
  const { strokes } = store.open;
  if (strokes.value.length >= STROKES || countPoints(store) >= POINTS) {
    store.announcement.value = t("view.brush.many");
    return;
  }
  strokes.value = [...strokes.value, { radius: brushRadius(store, pane), points: [toStored(point)] }];
}

/** Extend the newest stroke. */
export function extendStroke(store: ViewerStore, point: Point): void {
  const { strokes } = store.open;
  const stroke = strokes.value.at(-1);
  const last = stroke?.points.at(-1);
  if (!stroke || !last) return;
  const next = toStored(point);
  if (Math.hypot(next[0] - last[0], next[1] - last[1]) < SPACING * stroke.radius) return;
  if (countPoints(store) >= POINTS) {
    store.announcement.value = t("view.brush.many");
    return;
  }
  strokes.value = [...strokes.value.slice(0, -1), { ...stroke, points: [...stroke.points, next] }];
}

export function removeLastStroke(store: ViewerStore): void {
  store.open.strokes.value = store.open.strokes.value.slice(0, -1);
}
