// Whether a file is a camera's photograph: of a film on a light box, of a screen. No network here was measured on them.
//
// Two things show it surely: the picture was taken with the page's own camera button, or the file's Exif block names
// the exposure of a camera. That pixels alone show it is not claimed (docs/operations/on-the-device.md).
import { ascii } from "./exif";
import { readSegments } from "./jpeg";

// Exif (CIPA DC-008 4.6.5): tags that a camera writes about an exposure; no scanner or program has them.
const EXIF_IFD = 0x8769;
const CAMERA = [0x829a, 0x829d, 0x8827, 0x9209, 0x920a]; // exposure time, F number, sensitivity, flash, focal length

/** Return whether the Exif block of a JPEG says that a camera exposed it. */
export function isPhotograph(data: Uint8Array): boolean {
  if (!(data[0] === 0xff && data[1] === 0xd8)) return false;
  const { exif } = readSegments(data);
  if (!exif?.length) return false;
  const block = ascii(exif.subarray(0, 6)) === "Exif\0\0" ? exif.subarray(6) : exif;
  try {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    const little = ascii(block.subarray(0, 2)) === "II";
    const tags = new Map<number, number>();
    readDirectory(view, view.getUint32(4, little), little, tags);
    const inner = tags.get(EXIF_IFD);
    if (inner !== undefined) readDirectory(view, inner, little, tags);
    return CAMERA.filter((tag) => tags.has(tag)).length >= 2;
  } catch {
    return false; // a broken block says nothing
  }
}

function readDirectory(view: DataView, start: number, little: boolean, tags: Map<number, number>): void {
  const count = view.getUint16(start, little);
  for (let entry = start + 2; entry < start + 2 + 12 * count; entry += 12)
    tags.set(view.getUint16(entry, little), view.getUint32(entry + 8, little));
}
