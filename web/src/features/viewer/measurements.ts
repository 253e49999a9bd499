// What is measured on an image: lengths, angles, and the cardiothoracic ratio. Pure functions on lists of measurements.
// A measurement is drawn by its points, one after the other, and each point can be moved afterwards.
import type { CardiothoracicWidths } from "../../api/types";
import type { Frame, Point } from "./geometry";
import { measureLength } from "./geometry";

export type MeasureKind = "length" | "angle" | "ratio";
export interface Measurement {
  kind: MeasureKind;
  /**
   * In image coordinates. Length: both ends. Angle: end of one leg, vertex, end of the other. Ratio: both ends of the
   * heart's width, then both of the chest's. There are fewer while it is being drawn.
   */
  points: readonly Point[];
  /** A model's outlines proposed it, and nobody has moved a point since. */
  proposed?: boolean;
}
/** A point that is being moved: its measurement and its place in that. */
export interface Grip {
  measurement: number;
  point: number;
}
const POINTS: Record<MeasureKind, number> = { length: 2, angle: 3, ratio: 4 };

export function isMeasureKind(tool: string): tool is MeasureKind {
  return tool in POINTS;
}

export function isComplete({ kind, points }: Measurement): boolean {
  return points.length === POINTS[kind];
}

/** Return the measurements without one that is being drawn. */
export function dropUnfinished(list: readonly Measurement[]): Measurement[] {
  return list.filter(isComplete);
}

/** Return the point that lies within a distance of a place, the nearest one; null where none does. */
export function findGrip(list: readonly Measurement[], frame: Frame, at: Point, distance: number): Grip | null {
  let nearest: (Grip & { distance: number }) | null = null;
  list.forEach(({ points }, measurement) => {
    points.forEach((point, place) => {
      const away = measureLength(frame, [point, at]);
      if (away <= (nearest?.distance ?? distance)) nearest = { measurement, point: place, distance: away };
    });
  });
  return nearest;
}

/** Add the next point; the first one begins a measurement. */
export function addPoint(list: readonly Measurement[], kind: MeasureKind, point: Point): Measurement[] {
  const last = list.at(-1);
  if (!last || isComplete(last) || last.kind !== kind) return [...dropUnfinished(list), { kind, points: [point] }];
  return [...list.slice(0, -1), { kind, points: [...last.points, point] }];
}

/** Begin a drag: it draws a line from here, or the angle's second leg from its vertex. Return what it moves. */
export function beginDrag(
  list: readonly Measurement[],
  kind: MeasureKind,
  point: Point,
): { list: Measurement[]; grip: Grip } {
  const added = addPoint(list, kind, point);
  const points = added.at(-1)?.points.length ?? 0;
  const isOneEnd = kind === "angle" ? points === 1 : points % 2 === 1;
  const dragged = isOneEnd ? addPoint(added, kind, point) : added;
  return { list: dragged, grip: { measurement: dragged.length - 1, point: (dragged.at(-1)?.points.length ?? 1) - 1 } };
}

export function movePoint(list: readonly Measurement[], grip: Grip, to: Point): Measurement[] {
  return list.map(({ kind, points }, i) =>
    i === grip.measurement
      ? { kind, points: points.map((point, j) => (j === grip.point ? to : point)) }
      : (list[i] as Measurement),
  );
}

/** Return whether a drag has drawn nothing: two neighbouring points are one. */
export function isEmpty({ points, kind }: Measurement): boolean {
  const same = (i: number, j: number) =>
    points[i] !== undefined &&
    points[j] !== undefined &&
    points[i][0] === points[j][0] &&
    points[i][1] === points[j][1];
  return same(0, 1) || (kind === "angle" ? same(1, 2) : same(2, 3));
}

/** Return an angle in degrees, 0 to 180: each direction by its own spacing. */
export function measureAngle(frame: Frame, [from, vertex, to]: readonly Point[]): number {
  if (!from || !vertex || !to) return Number.NaN;
  const direction = (end: Point) => Math.atan2((end[1] - vertex[1]) * frame.row, (end[0] - vertex[0]) * frame.column);
  const turn = Math.abs(direction(from) - direction(to)) % (2 * Math.PI);
  return (Math.min(turn, 2 * Math.PI - turn) * 180) / Math.PI;
}

/** Return the heart's width divided by the chest's (Danzer 1919). */
export function measureRatio(frame: Frame, [a, b, c, d]: readonly Point[]): number {
  if (!a || !b || !c || !d) return Number.NaN;
  return measureLength(frame, [a, b]) / measureLength(frame, [c, d]);
}

export function proposeRatio({ heart, chest }: CardiothoracicWidths, { width, height }: Frame): Measurement {
  const line = ([from, to, y]: [number, number, number]): Point[] => [
    [from * width, y * height],
    [to * width, y * height],
  ];
  return { kind: "ratio", points: [...line(heart), ...line(chest)], proposed: true };
}
