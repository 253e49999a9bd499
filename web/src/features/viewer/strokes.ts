// Painting: strokes in pixels of the stored image, as the what-if takes them.
import { t } from "../../i18n";
import type { Point } from "./geometry";
import type { Pane } from "./pane";
import { type Room, radiusOf } from "./viewer-store";

/** The server takes no more (its schema says so). */
const STROKES = 200;
const POINTS = 5000;
/** Of the radius: points closer than that change nothing that can be seen. */
const SPACING = 0.2;

const hundredth = (value: number) => Math.round(100 * value) / 100;
/** In a stroke whole numbers are the centres of pixels; in the viewer they are corners. */
export const HALF = 0.5;
const kept = ([x, y]: Point): [number, number] => [hundredth(x - HALF), hundredth(y - HALF)];
const used = (room: Room) => room.open.strokes.value.reduce((sum, one) => sum + one.points.length, 0);

export function begin(room: Room, pane: Pane, point: Point): void {
  const { strokes } = room.open;
  if (strokes.value.length >= STROKES || used(room) >= POINTS) {
    room.said.value = t("view.brush.many");
    return;
  }
  strokes.value = [...strokes.value, { radius: radiusOf(room, pane), points: [kept(point)] }];
}

/** Extend the newest stroke. */
export function addTo(room: Room, point: Point): void {
  const { strokes } = room.open;
  const stroke = strokes.value.at(-1);
  const last = stroke?.points.at(-1);
  if (!stroke || !last) return;
  const next = kept(point);
  if (Math.hypot(next[0] - last[0], next[1] - last[1]) < SPACING * stroke.radius) return;
  if (used(room) >= POINTS) {
    room.said.value = t("view.brush.many");
    return;
  }
  strokes.value = [...strokes.value.slice(0, -1), { ...stroke, points: [...stroke.points, next] }];
}

export function dropLast(room: Room): void {
  room.open.strokes.value = room.open.strokes.value.slice(0, -1);
}
