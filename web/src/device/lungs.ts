// The outlines of lungs and heart: their parts, their shape and where a heatmap lies in them, as pneumoscope.bundle has
// them in lungs.py, lung_parts.py, lung_shape.py and heat.py.
import { type Border, hasBorder, spread } from "./border";
import type { Mask, Plane } from "./picture";
import rules from "./rules.json";

/** What the lungs graph says of a picture, on its own square that is stretched over what lies inside the border. */
export class Outlines {
  readonly structures: readonly string[];
  readonly side: number;
  readonly shape: { width: number; height: number };
  readonly #values: Float32Array;
  readonly #border: Border;

  constructor(
    values: Float32Array,
    structures: readonly string[],
    shape: { width: number; height: number },
    border: Border,
  ) {
    this.#values = values;
    this.structures = structures;
    this.side = Math.round(Math.sqrt(values.length / structures.length));
    this.shape = shape;
    this.#border = border;
  }

  /** The same outlines as those of the picture without its border. */
  get inside(): Outlines {
    const { top, bottom, left, right } = this.#border;
    const shape = { width: this.shape.width - left - right, height: this.shape.height - top - bottom };
    return new Outlines(this.#values, this.structures, shape, { top: 0, bottom: 0, left: 0, right: 0 });
  }

  /** The same outlines as those of a picture with a border around it. */
  within(border: Border, shape: { width: number; height: number }): Outlines {
    return new Outlines(this.#values, this.structures, shape, border);
  }

  /** Return the probability of a structure on a square that is stretched over the whole picture. */
  probability(structure: string): Plane {
    const place = this.structures.indexOf(structure);
    const size = this.side * this.side;
    const values = this.#values.slice(place * size, (place + 1) * size);
    const map = { width: this.side, height: this.side, values };
    return hasBorder(this.#border) ? spread(map, this.#border, this.shape, map) : map;
  }

  /** Return where the graph sees a structure, with specks and holes. */
  square(structure: string): Mask {
    const { width, height, values } = this.probability(structure);
    const inside = new Uint8Array(values.length);
    for (let k = 0; k < values.length; k++) inside[k] = (values[k] as number) >= 0.5 ? 1 : 0;
    return { width, height, values: inside };
  }

  /** Return the mask of a structure without specks and with its holes filled. */
  selectParts(structure: string): Mask {
    return removeSpecks(this.square(structure));
  }
}

/** Return the part that each pixel belongs to (0: none) and the number of parts, which touch by their sides. */
export function labelParts({ width, height, values }: Mask): { labels: Int32Array; count: number } {
  const labels = new Int32Array(values.length);
  let count = 0;
  const open: number[] = [];
  for (let start = 0; start < values.length; start++) {
    if (!values[start] || labels[start]) continue;
    count++;
    labels[start] = count;
    open.push(start);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const x = at % width;
      for (const next of [
        x > 0 ? at - 1 : -1,
        x < width - 1 ? at + 1 : -1,
        at - width,
        at + width < width * height ? at + width : -1,
      ])
        if (next >= 0 && values[next] && !labels[next]) {
          labels[next] = count;
          open.push(next);
        }
    }
  }
  return { labels, count };
}

/** Return the pixels of each part; those of no part are first. */
export function countAreas(labels: Int32Array, count: number): number[] {
  const areas = new Array<number>(count + 1).fill(0);
  for (const label of labels) areas[label] = (areas[label] as number) + 1;
  return areas;
}

/** Return a mask without its small parts and with its holes filled. */
export function removeSpecks(mask: Mask): Mask {
  const { width, height } = mask;
  const { labels, count } = labelParts(mask);
  if (count === 0) return mask;
  const areas = countAreas(labels, count);
  areas[0] = 0;
  const largest = Math.max(...areas);
  const values = Uint8Array.from(labels, (label) =>
    label > 0 && (areas[label] as number) >= rules.parts.least_part * largest ? 1 : 0,
  );
  const outside = labelParts({ width, height, values: values.map((inside) => 1 - inside) });
  const isHole = new Uint8Array(outside.count + 1).fill(1);
  isHole[0] = 0;
  for (let x = 0; x < width; x++) {
    isHole[outside.labels[x] as number] = 0;
    isHole[outside.labels[(height - 1) * width + x] as number] = 0;
  }
  for (let y = 0; y < height; y++) {
    isHole[outside.labels[y * width] as number] = 0;
    isHole[outside.labels[y * width + width - 1] as number] = 0;
  }
  return { width, height, values: values.map((inside, k) => inside | (isHole[outside.labels[k] as number] as number)) };
}

/** What an outline looks like; all values are shares, 0 to 1. */
export interface LungShape {
  area: number;
  paired: number;
  balance: number;
  across: number;
  down: number;
  cut: number;
}

/** Return the shape of an outline of the lungs. */
export function measureLungShape({ width, height, values }: Mask): LungShape {
  let [area, sumX, sumY, lungRows, paired, left, right] = [0, 0, 0, 0, 0, 0, 0];
  for (let y = 0; y < height; y++) {
    const columns: number[] = [];
    for (let x = 0; x < width; x++) if (values[y * width + x]) columns.push(x);
    if (columns.length === 0) continue;
    lungRows++;
    area += columns.length;
    for (const x of columns) sumX += x;
    sumY += y * columns.length;
    const sides = splitRow(columns, width);
    if (sides[1] > 0) {
      paired++;
      left += sides[0];
      right += sides[1];
    }
  }
  if (area === 0) return { area: 0, paired: 0, balance: 0, across: 0.5, down: 0.5, cut: 0 };
  const edges = [0, 0, 0, 0] as [number, number, number, number];
  for (let x = 0; x < width; x++) {
    edges[0] += (values[x] as number) / width;
    edges[1] += (values[(height - 1) * width + x] as number) / width;
  }
  for (let y = 0; y < height; y++) {
    edges[2] += (values[y * width] as number) / height;
    edges[3] += (values[y * width + width - 1] as number) / height;
  }
  return {
    area: area / values.length,
    paired: paired / lungRows,
    balance: left && right ? Math.min(left, right) / Math.max(left, right) : 0,
    across: (sumX / area + 0.5) / width,
    down: (sumY / area + 0.5) / height,
    cut: Math.max(...edges),
  };
}

/** Return the pixels of lung left and right of the widest gap of a row; 0 on the right where there is none. */
function splitRow(columns: number[], width: number): [number, number] {
  let [widest, split] = [0, 0];
  for (let k = 1; k < columns.length; k++) {
    const gap = (columns[k] as number) - (columns[k - 1] as number);
    if (gap > widest) [widest, split] = [gap, k];
  }
  if (columns.length < 2 || widest - 1 < rules.shape.gap * width) return [columns.length, 0];
  return [split, columns.length - split];
}

/** Return whether more of a heatmap's upper half lies outside the lungs than inside. */
export function isActiveOutside(heat: Plane, outlines: Outlines): boolean {
  const lungs = outlines.square("lungs");
  const side = lungs.width;
  let highest = 0;
  for (const value of heat.values) highest = Math.max(highest, value);
  if (!lungs.values.some(Boolean) || !(highest > 0)) return false;
  const inside = widen(fillRows(lungs), Math.round(0.05 * side));
  const stretched = new Float32Array(side * side);
  let peak = 0;
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const row = Math.floor((y * heat.height) / side);
      const value = heat.values[row * heat.width + Math.floor((x * heat.width) / side)] as number;
      stretched[y * side + x] = value;
      peak = Math.max(peak, value);
    }
  let [within, beyond] = [0, 0];
  stretched.forEach((value, k) => {
    if (value < peak / 2) return;
    if (inside[k]) within += value;
    else beyond += value;
  });
  return beyond > within;
}

function fillRows({ width, height, values }: Mask): Mask {
  const filled = new Uint8Array(values.length);
  for (let y = 0; y < height; y++) {
    const row = values.subarray(y * width, (y + 1) * width);
    const first = row.indexOf(1);
    if (first >= 0) filled.fill(1, y * width + first, y * width + row.lastIndexOf(1) + 1);
  }
  return { width, height, values: filled };
}

/** Return a mask widened by so many pixels in each of four directions: first up and down, then left and right. */
function widen({ width, height, values }: Mask, pixels: number): Uint8Array {
  let mask = values;
  for (const [step, length, lines, next] of [
    [width, height, width, 1],
    [1, width, height, width],
  ] as const) {
    const wide = new Uint8Array(mask.length);
    for (let line = 0; line < lines; line++)
      for (let k = 0; k < length; k++) {
        if (!mask[line * next + k * step]) continue;
        const end = Math.min(length - 1, k + pixels);
        for (let j = Math.max(0, k - pixels); j <= end; j++) wide[line * next + j * step] = 1;
      }
    mask = wide;
  }
  return mask;
}

/** Return a mask as runs of columns in each row, as the server sends outlines: from, to, from, to... */
export function toRuns({ width, height, values }: Mask): { side: number; rows: number[][] } {
  const rows: number[][] = [];
  for (let y = 0; y < height; y++) {
    const row: number[] = [];
    for (let x = 0; x <= width; x++) {
      const inside = x < width && values[y * width + x] === 1;
      const before = x > 0 && values[y * width + x - 1] === 1;
      if (inside !== before) row.push(x);
    }
    rows.push(row);
  }
  return { side: width, rows };
}
