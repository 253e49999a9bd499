// The orientation that a PNG or JPEG declares in Exif or XMP, as pneumoscope.imaging.orientation reads it.
import type { Turn } from "./picture";

/** Exif tag 274 (CIPA DC-008 4.6.5): how the stored rows and columns are turned to stand upright. */
const TURNS: Record<number, Turn> = {
  2: { reverseColumns: true },
  3: { reverseRows: true, reverseColumns: true },
  4: { reverseRows: true },
  5: { swap: true },
  6: { swap: true, reverseColumns: true },
  7: { swap: true, reverseRows: true, reverseColumns: true },
  8: { swap: true, reverseRows: true },
};
const [ORIENTATION, SHORT, LONG] = [274, 3, 4]; // types of fields: TIFF 6.0 p. 15

export interface Orientation {
  turn: Turn;
  /** There is an Exif block, and it does not say whether the image is to be turned. */
  damaged: boolean;
}

/** Return the orientation that an Exif block states (with or without its prefix), or XMP in its place. */
export function readOrientation(exif: Uint8Array | null, xmp: Uint8Array | null): Orientation {
  let value: number | null = null;
  let damaged = false;
  if (exif?.length) {
    try {
      value = exifOrientation(ascii(exif.subarray(0, 6)) === "Exif\0\0" ? exif.subarray(6) : exif);
      damaged = value !== null && !(value >= 1 && value <= 8);
    } catch {
      damaged = true;
    }
  }
  if ((value === null || damaged) && xmp) {
    const found = /tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])/.exec(ascii(xmp));
    if (found) [value, damaged] = [Number(found[1]), false];
  }
  return { turn: TURNS[value ?? 1] ?? {}, damaged };
}

/** Return the value of the tag in the first directory, null without the tag; throws where the block ends too early. */
function exifOrientation(block: Uint8Array): number | null {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const order = ascii(block.subarray(0, 2));
  if (order !== "II" && order !== "MM") throw new RangeError("no byte order");
  const little = order === "II";
  const start = view.getUint32(4, little);
  const count = view.getUint16(start, little);
  for (let entry = start + 2; entry < start + 2 + 12 * count; entry += 12) {
    if (view.getUint16(entry, little) !== ORIENTATION) {
      view.getUint16(entry + 2, little);
      continue;
    }
    const type = view.getUint16(entry + 2, little);
    if (type !== SHORT && type !== LONG) throw new RangeError("another type");
    return type === SHORT ? view.getUint16(entry + 8, little) : view.getUint32(entry + 8, little);
  }
  return null;
}

/** Return bytes as characters of their codes. */
export function ascii(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
