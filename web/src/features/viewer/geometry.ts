// Maps pixels of the stored image to the screen and back. Pure functions, used by layers, gestures and lengths.
// Image coordinates run over the areas of pixels: (0, 0) is the upper left corner of the first pixel, (width, height)
// is the lower right corner of the last; x = column, y = row. Screen coordinates are CSS pixels from the upper left
// corner of the viewport.

export type Point = readonly [number, number];
/** x' = a x + c y + e, y' = b x + d y + f: the order of canvas and CSS. */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];
/** Degrees clockwise on the screen. */
export type Turn = 0 | 90 | 180 | 270;

/** An image as it lies in the world. */
export interface Frame {
  /** Pixels. */
  width: number;
  height: number;
  /** World units (mm where the file gives a spacing, else pixels) between the centres of columns and of rows. */
  column: number;
  row: number;
}
/** The part of an image that a viewport shows. */
export interface View {
  /** CSS pixels a world unit. */
  scale: number;
  /** The point of the image in the middle of the viewport. */
  centre: Point;
  turn: Turn;
}
export interface Box {
  width: number;
  height: number;
}

const COS: Record<Turn, number> = { 0: 1, 90: 0, 180: -1, 270: 0 };
const SIN: Record<Turn, number> = { 0: 0, 90: 1, 180: 0, 270: -1 };
/** The largest zoom in CSS pixels per image pixel. */
const LARGEST = 64;
/** The smallest zoom as a share of the size that fits. */
const SMALLEST = 0.2;

export function turnDirection(turn: Turn): { cos: number; sin: number } {
  return { cos: COS[turn], sin: SIN[turn] };
}

/** Return the map of a view from image coordinates to the screen. */
export function viewToAffine({ scale, centre, turn }: View, frame: Frame, box: Box): Affine {
  const { cos, sin } = turnDirection(turn);
  const across = scale * frame.column;
  const down = scale * frame.row;
  const linear = [cos * across, sin * across, -sin * down, cos * down] as const;
  const [x, y] = apply([...linear, 0, 0], centre);
  return [...linear, box.width / 2 - x, box.height / 2 - y];
}

export function apply([a, b, c, d, e, f]: Affine, [x, y]: Point): Point {
  return [a * x + c * y + e, b * x + d * y + f];
}

export function invertAffine([a, b, c, d, e, f]: Affine): Affine {
  const determinant = a * d - b * c;
  if (determinant === 0) throw new RangeError("an affine map without an inverse");
  const [p, q, r, s] = [d / determinant, -b / determinant, -c / determinant, a / determinant];
  return [p, q, r, s, -(p * e + r * f), -(q * e + s * f)];
}

/** Return the map that brings three corners of an image to these points on the screen. */
export function affineFrom(frame: Frame, origin: Point, right: Point, below: Point): Affine {
  return [
    (right[0] - origin[0]) / frame.width,
    (right[1] - origin[1]) / frame.width,
    (below[0] - origin[0]) / frame.height,
    (below[1] - origin[1]) / frame.height,
    origin[0],
    origin[1],
  ];
}

/** Return the map of a grid of cells that covers the whole image: (column, row) of a cell's corner to the screen. */
export function gridToAffine(affine: Affine, frame: Frame, columns: number, rows: number): Affine {
  const [a, b, c, d, e, f] = affine;
  const [x, y] = [frame.width / columns, frame.height / rows];
  return [a * x, b * x, c * y, d * y, e, f];
}

/** Return the view that shows the whole image. */
export function fitView(frame: Frame, box: Box, turn: Turn): View {
  const [width, height] = rotateSize([frame.width * frame.column, frame.height * frame.row], turn);
  const scale = Math.min(box.width / width, box.height / height);
  return { scale, centre: [frame.width / 2, frame.height / 2], turn };
}

/** Return a view zoomed around a point of the screen, which keeps its place in the image. */
export function zoomAt(view: View, frame: Frame, box: Box, factor: number, at: Point): View {
  const scale = clampScale(view.scale * factor, frame, box, view.turn);
  const fixedPoint = apply(invertAffine(viewToAffine(view, frame, box)), at);
  const [x, y] = apply(viewToAffine({ ...view, scale }, frame, box), fixedPoint);
  return panBy({ ...view, scale }, frame, [at[0] - x, at[1] - y]);
}

/** Return a view whose picture has moved on the screen; the middle of the viewport stays inside the image. */
export function panBy(view: View, frame: Frame, [dx, dy]: Point): View {
  const { cos, sin } = turnDirection(view.turn);
  const x = view.centre[0] - (cos * dx + sin * dy) / (view.scale * frame.column);
  const y = view.centre[1] - (-sin * dx + cos * dy) / (view.scale * frame.row);
  return { ...view, centre: [clamp(x, 0, frame.width), clamp(y, 0, frame.height)] };
}

export function turnBy(view: View, degrees: 90 | 270): View {
  return { ...view, turn: ((view.turn + degrees) % 360) as Turn };
}

/** Return a length in world units: each direction by its own spacing. */
export function measureLength(frame: Frame, [from, to]: readonly [Point, Point]): number {
  return Math.hypot((to[0] - from[0]) * frame.column, (to[1] - from[1]) * frame.row);
}

/** Return the longest of 1, 2, 5, 10, ... world units that takes at most `longest` CSS pixels. */
export function chooseScaleBar(scale: number, longest: number): number {
  const most = longest / scale;
  const power = 10 ** Math.floor(Math.log10(most));
  return (most >= 5 * power ? 5 : most >= 2 * power ? 2 : 1) * power;
}

/** Return the sides of the viewport on which the image's left and right edges are: column 0 is the patient's right. */
export function findSides(turn: Turn): {
  right: "left" | "top" | "right" | "bottom";
  left: "left" | "top" | "right" | "bottom";
} {
  const around = ["left", "top", "right", "bottom"] as const;
  const step = turn / 90;
  return { right: around[step % 4] ?? "left", left: around[(step + 2) % 4] ?? "right" };
}

export function clamp(value: number, lowest: number, highest: number): number {
  return Math.min(Math.max(value, lowest), highest);
}

function rotateSize([width, height]: Point, turn: Turn): Point {
  return turn % 180 === 0 ? [width, height] : [height, width];
}

function clampScale(scale: number, frame: Frame, box: Box, turn: Turn): number {
  const smallest = SMALLEST * fitView(frame, box, turn).scale;
  return clamp(scale, smallest, Math.max(smallest, LARGEST / Math.min(frame.column, frame.row)));
}
