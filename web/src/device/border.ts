// The flat border around a radiograph, as pneumoscope.imaging.border finds it.
import { crop, isStrip, type Plane } from "./picture";
import rules from "./rules.json";

const R = rules.border;
const RING = Math.fround(R.ring);

/** Widths in pixels. */
export interface Border {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

export const NO_BORDER: Border = { top: 0, bottom: 0, left: 0, right: 0 };

export function hasBorder({ top, bottom, left, right }: Border): boolean {
  return top + bottom + left + right > 0;
}

/** Return what lies inside a border. */
export function cut(plane: Plane, { top, bottom, left, right }: Border): Plane {
  return crop(plane, left, top, plane.width - left - right, plane.height - top - bottom);
}

/** Return the flat border of a picture, all 0 where it has none. */
export function findBorder(plane: Plane): Border {
  if (isStrip(plane)) return NO_BORDER; // no graph runs on it, and it has too many lines to look at
  let [top, bottom, left, right] = [0, 0, 0, 0];
  for (let pass = 0; pass < 2; pass++) {
    const [above, below] = measurePair(plane, { top, bottom, left, right }, false);
    top += above;
    bottom += below;
    const [before, behind] = measurePair(plane, { top, bottom, left, right }, true);
    left += before;
    right += behind;
  }
  const inside = [plane.height - top - bottom, plane.width - left - right] as const;
  if (inside[0] < R.least_inside * plane.height || inside[1] < R.least_inside * plane.width) return NO_BORDER;
  return { top, bottom, left, right };
}

type Lines = (number: number) => Float32Array;

/** Return how many lines at the first and at the last edge belong to a border: rows, or columns. */
function measurePair(plane: Plane, { top, bottom, left, right }: Border, columns: boolean): [number, number] {
  const [rows, across] = [plane.height - top - bottom, plane.width - left - right];
  const [count, size] = columns ? [across, rows] : [rows, across];
  const step = Math.max(1, Math.floor(size / R.places));
  const length = Math.ceil(size / step);
  const start = top * plane.width + left;
  const [next, along] = columns ? [1, step * plane.width] : [plane.width, step];
  const fromStart: Lines = (number) => {
    const line = new Float32Array(length);
    for (let k = 0; k < length; k++) line[k] = plane.values[start + number * next + k * along] as number;
    return line;
  };
  const fromEnd: Lines = (number) => fromStart(count - 1 - number);
  let [first, firstGrey] = countFlat(fromStart, count, length);
  let [last, lastGrey] = countFlat(fromEnd, count, length);
  if (first + last >= count) return [0, 0];
  const [blackFirst, blackLast] = [firstGrey <= R.black, lastGrey <= R.black];
  if (blackFirst && blackLast) {
    const common = Math.min(first, last);
    first = last = common >= R.least * count ? common : 0;
  }
  first = !blackFirst || last ? first : 0;
  last = !blackLast || first ? last : 0;
  first = first >= R.least * count ? addRinging(fromStart, count, first, firstGrey) : 0;
  last = last >= R.least * count ? addRinging(fromEnd, count, last, lastGrey) : 0;
  return first + last < count ? [first, last] : [0, 0];
}

/** Round halves to the even number, as Python does. */
export function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function countFlat(lines: Lines, count: number, length: number): [number, number] {
  const dust = roundEven(R.dust * length);
  let grey = 0;
  for (let number = 0; number < count; number++) {
    const ordered = lines(number).sort();
    const [low, high] = [ordered[dust] as number, ordered[length - 1 - dust] as number];
    const middle = ordered[Math.floor(length / 2)] as number;
    if (high - low > R.flat || (number > 0 && Math.abs(middle - grey) > R.flat)) return [number, grey];
    if (number === 0) grey = middle;
  }
  return [count, grey];
}

function addRinging(lines: Lines, count: number, width: number, grey: number): number {
  const end = Math.min(count, width + R.block);
  for (let number = width; number < end; number++) {
    const line = lines(number);
    let near = 0;
    for (const value of line) if (Math.abs(Math.fround(value - Math.fround(grey))) <= RING) near++;
    if (near / line.length < R.ring_share) return number;
  }
  return width;
}

/** Return [cells x inner] how much each cell of a line takes from each cell inside its border; 0 on the border. */
function place(length: number, before: number, behind: number, cells: number, inner: number): Float64Array {
  const weights = new Float64Array(cells * inner);
  for (let cell = 0; cell < cells; cell++) {
    const share = (((cell + 0.5) / cells) * length - before) / (length - before - behind);
    if (!(share > 0 && share < 1)) continue;
    const at = Math.min(Math.max(share * inner - 0.5, 0), inner - 1);
    for (let k = 0; k < inner; k++) weights[cell * inner + k] = Math.max(1 - Math.abs(at - k), 0);
  }
  return weights;
}

/** Return a map of what lies inside a border as a map of the whole picture, 0 on the border. */
export function spread(
  map: Plane,
  border: Border,
  shape: { width: number; height: number },
  size: { width: number; height: number },
): Plane {
  const rows = place(shape.height, border.top, border.bottom, size.height, map.height);
  const columns = place(shape.width, border.left, border.right, size.width, map.width);
  const values = new Float32Array(size.width * size.height);
  const line = new Float64Array(map.width);
  for (let r = 0; r < size.height; r++) {
    line.fill(0);
    for (let y = 0; y < map.height; y++) {
      const w = rows[r * map.height + y] as number;
      if (w !== 0)
        for (let x = 0; x < map.width; x++)
          line[x] = (line[x] as number) + w * (map.values[y * map.width + x] as number);
    }
    for (let c = 0; c < size.width; c++) {
      let sum = 0;
      for (let x = 0; x < map.width; x++) sum += (columns[c * map.width + x] as number) * (line[x] as number);
      values[r * size.width + c] = sum;
    }
  }
  return { ...size, values };
}
