// Pillow's resampling and rotation, repeated bit by bit (Pillow, Resample.c and Geometry.c), because the gatekeeper's
// limits were chosen on pictures that Pillow has made smaller.
import type { Plane } from "./picture";

type Filter = "box" | "bilinear" | "bicubic";

const SUPPORT: Record<Filter, number> = { box: 0.5, bilinear: 1, bicubic: 2 };

function weight(filter: Filter, x: number): number {
  if (filter === "box") return x > -0.5 && x <= 0.5 ? 1 : 0;
  const far = Math.abs(x);
  if (filter === "bilinear") return far < 1 ? 1 - far : 0;
  const a = -0.5;
  if (far < 1) return ((a + 2) * far - (a + 3)) * far * far + 1;
  return far < 2 ? (((far - 5) * far + 8) * far - 4) * a : 0;
}

interface Taps {
  first: number;
  weights: number[];
}

function computeTaps(from: number, to: number, filter: Filter): Taps[] {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = SUPPORT[filter] * stretch;
  const taps: Taps[] = [];
  for (let place = 0; place < to; place++) {
    const center = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const weights: number[] = [];
    let sum = 0;
    for (let x = first; x < end; x++) {
      const w = weight(filter, (x - center + 0.5) * (1 / stretch));
      weights.push(w);
      sum += w;
    }
    taps.push({ first, weights: weights.map((w) => (sum === 0 ? w : w / sum)) });
  }
  return taps;
}

/** Return a plane in another size, as Pillow resizes mode F. */
export function resize(plane: Plane, width: number, height: number, filter: Filter): Plane {
  let { width: columns, values } = plane;
  const rows = plane.height;
  if (width !== columns) {
    const taps = computeTaps(columns, width, filter);
    const narrow = new Float32Array(width * rows);
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < width; x++) {
        const { first, weights } = taps[x] as Taps;
        let sum = 0;
        const start = y * columns + first;
        for (let k = 0; k < weights.length; k++) sum += (values[start + k] as number) * (weights[k] as number);
        narrow[y * width + x] = sum;
      }
    values = narrow;
    columns = width;
  }
  if (height !== rows) {
    const taps = computeTaps(rows, height, filter);
    const low = new Float32Array(width * height);
    for (let y = 0; y < height; y++) {
      const { first, weights } = taps[y] as Taps;
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++)
          sum += (values[(first + k) * columns + x] as number) * (weights[k] as number);
        low[y * width + x] = sum;
      }
    }
    values = low;
  }
  return { width, height, values };
}

const PRECISION = 22; // bits of a weight in Pillow's whole numbers: 32 - 8 - 2
const ROUND = 2 ** (PRECISION - 1);

/** Return one channel of 8 bits averaged to cells, as Pillow's box filter does for 8-bit modes. */
export function shrinkBytes(values: ArrayLike<number>, width: number, height: number, cells: number): Uint8Array {
  const whole = (taps: Taps[]) =>
    taps.map(({ first, weights }) => ({ first, weights: weights.map((w) => Math.trunc(w * 2 ** PRECISION + 0.5)) }));
  const clip = (sum: number) => Math.max(0, Math.min(255, Math.floor(sum / 2 ** PRECISION)));
  const across = whole(computeTaps(width, cells, "box"));
  const down = whole(computeTaps(height, cells, "box"));
  const narrow = new Uint8Array(cells * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < cells; x++) {
      if (width === cells) {
        narrow[y * cells + x] = values[y * width + x] as number;
        continue;
      }
      const { first, weights } = across[x] as Taps;
      let sum = ROUND;
      for (let k = 0; k < weights.length; k++)
        sum += (values[y * width + first + k] as number) * (weights[k] as number);
      narrow[y * cells + x] = clip(sum);
    }
  if (height === cells) return narrow;
  const low = new Uint8Array(cells * cells);
  for (let y = 0; y < cells; y++) {
    const { first, weights } = down[y] as Taps;
    for (let x = 0; x < cells; x++) {
      let sum = ROUND;
      for (let k = 0; k < weights.length; k++)
        sum += (narrow[(first + k) * cells + x] as number) * (weights[k] as number);
      low[y * cells + x] = clip(sum);
    }
  }
  return low;
}

/** Return a plane turned counterclockwise about its middle in the same size, as `Image.rotate` with BILINEAR does. */
export function rotate(plane: Plane, degrees: number, fill = 0): Plane {
  const { width, height, values } = plane;
  const angle = (-degrees * Math.PI) / 180;
  const round = (value: number) => Math.round(value * 1e15) / 1e15;
  const [a, b, d, e] = [
    round(Math.cos(angle)),
    round(Math.sin(angle)),
    round(-Math.sin(angle)),
    round(Math.cos(angle)),
  ] as [number, number, number, number];
  const [cx, cy] = [width / 2, height / 2];
  const c = a * -cx + b * -cy + cx;
  const f = d * -cx + e * -cy + cy;
  const turned = new Float32Array(values.length).fill(fill);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let u = a * (x + 0.5) + b * (y + 0.5) + c;
      let v = d * (x + 0.5) + e * (y + 0.5) + f;
      if (u < 0 || u >= width || v < 0 || v >= height) continue;
      u -= 0.5;
      v -= 0.5;
      const [left, top] = [Math.floor(u), Math.floor(v)];
      const [dx, dy] = [u - left, v - top];
      const x0 = Math.min(Math.max(left, 0), width - 1);
      const x1 = Math.min(Math.max(left + 1, 0), width - 1);
      const above = Math.min(Math.max(top, 0), height - 1) * width;
      const p = values[above + x0] as number;
      const upper = p + ((values[above + x1] as number) - p) * dx;
      let lower = upper;
      if (top + 1 >= 0 && top + 1 < height) {
        const q = values[(top + 1) * width + x0] as number;
        lower = q + ((values[(top + 1) * width + x1] as number) - q) * dx;
      }
      turned[y * width + x] = upper + (lower - upper) * dy;
    }
  return { width, height, values: turned };
}
