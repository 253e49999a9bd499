// A radiograph's pixels as the server stores them: a greyscale PNG of 8 or 16 bits, 0 = black. Decoded here and not by the
// browser, whose canvas keeps 8 bits only.
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
