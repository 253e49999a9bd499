// A radiograph's pixels as the server stores them: a greyscale PNG of 8 or 16 bits, 0 = black. It is decoded here
// because the browser's canvas keeps only 8 bits.
import { decode } from "fast-png";

export interface Pixels {
  width: number;
  height: number;
  bits: 8 | 16;
  /** Row by row, row 0 = head. */
  values: Uint8Array | Uint16Array;
}

/** Return the pixels of a PNG file, in its own depth. */
export function decodeGrey(file: Uint8Array): Pixels {
  const { width, height, depth, channels, data } = decode(file);
  if (channels !== 1 || (depth !== 8 && depth !== 16)) {
    throw new TypeError(`the image has ${channels} channels of ${depth} bits; a radiograph has one, of 8 or 16`);
  }
  const values = depth === 16 ? (data as Uint16Array) : new Uint8Array(data.buffer, data.byteOffset, data.length);
  return { width, height, bits: depth, values };
}

/** The longest side of the coarsest level in pixels; it is smaller than any viewport. */
const COARSEST = 512;

/**
 * Return an image and its means of 2 x 2, 4 x 4, ... pixels. A screen that shows only every third pixel turns noise
 * into false grain; means avoid that.
 */
export function buildLevels(pixels: Pixels): Pixels[] {
  const levels = [pixels];
  for (let last = pixels; Math.max(last.width, last.height) > COARSEST; levels.push(last)) last = halve(last);
  return levels;
}

/** Return the rounded means of 2 x 2 pixels; at the right and lower edges they may be of fewer pixels. */
export function halve({ width, height, bits, values }: Pixels): Pixels {
  const [columns, rows] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const means = bits === 8 ? new Uint8Array(columns * rows) : new Uint16Array(columns * rows);
  for (let y = 0; y < rows; y++) {
    const above = 2 * y * width;
    const below = 2 * y + 1 < height ? above + width : above;
    for (let x = 0; x < columns; x++) {
      const left = 2 * x;
      const right = left + 1 < width ? left + 1 : left;
      const sum =
        (values[above + left] as number) +
        (values[above + right] as number) +
        (values[below + left] as number) +
        (values[below + right] as number);
      means[y * columns + x] = (sum + 2) >> 2;
    }
  }
  return { width: columns, height: rows, bits, values: means };
}
