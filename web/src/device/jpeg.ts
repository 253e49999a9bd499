// JPEG of 8 bits to float32 grey, by the same libjpeg-turbo as Pillow's, compiled to WebAssembly.
import { decompress } from "./codecs";
import { measureColour } from "./colour";
import { ascii, readOrientation } from "./exif";
import { checkSize, type Facts, FileProblem, luma, makeUpright, type Radiograph } from "./picture";
import rules from "./rules.json";

const XMP = "http://ns.adobe.com/xap/1.0/\0";

/** Return the last place of two bytes; -1 without. */
function findLast(data: Uint8Array, first: number, second: number): number {
  for (let at = data.length - 2; at >= 0; at--) if (data[at] === first && data[at + 1] === second) return at;
  return -1;
}

interface Segments {
  width: number;
  height: number;
  components: number;
  precision: number;
  exif: Uint8Array | null;
  xmp: Uint8Array | null;
}

/** Return what the segments before the first scan say (ISO/IEC 10918-1 B.1). */
export function readSegments(data: Uint8Array): Segments {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const found: Segments = { width: 0, height: 0, components: 0, precision: 0, exif: null, xmp: null };
  let at = 2;
  while (at + 4 <= data.length && data[at] === 0xff) {
    const marker = data[at + 1] as number;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const length = view.getUint16(at + 2);
    if (marker === 0xda || length < 2) break;
    const content = data.subarray(at + 4, at + 2 + length);
    if (marker === 0xe1 && ascii(content.subarray(0, 5)) === "Exif\0") found.exif ??= content.subarray(6);
    else if (marker === 0xe1 && ascii(content.subarray(0, XMP.length)) === XMP) found.xmp ??= content;
    const isFrame = (marker >= 0xc0 && marker < 0xd0 && ![0xc4, 0xc8, 0xcc].includes(marker)) || marker === 0xf7;
    if (isFrame && content.length >= 6) {
      found.precision = content[0] as number;
      found.height = view.getUint16(at + 5);
      found.width = view.getUint16(at + 7);
      found.components = content[5] as number;
    }
    at += 2 + length;
  }
  return found;
}

/** Refuse a JPEG without its end: after the last End Of Image (FFD9) no scan (FFDA) may start. */
export function checkJpegEnd(data: Uint8Array): void {
  const end = findLast(data, 0xff, 0xd9);
  if (end < 0 || findLast(data, 0xff, 0xda) > end) throw new FileProblem("damaged", "its End Of Image is missing");
}

export async function decodeJpeg(data: Uint8Array): Promise<Radiograph> {
  checkJpegEnd(data);
  const { width, height, components, precision, exif, xmp } = readSegments(data);
  checkSize(width, height, rules.maxPixels);
  if (precision !== 8 || (components !== 1 && components !== 3))
    throw new FileProblem("unsupported", `it has ${components} samples of ${precision} bits`);
  const frame = await decompress("jpeg", data);
  const size = width * height;
  const values = new Float32Array(size);
  let facts: Facts = {};
  if (frame.samples === 1) for (let k = 0; k < size; k++) values[k] = (frame.values[k] as number) / 255;
  else {
    const make = () => new Uint8Array(size);
    const channels: [Uint8Array, Uint8Array, Uint8Array] = [make(), make(), make()];
    for (let k = 0; k < size; k++)
      for (let c = 0; c < 3; c++) (channels[c] as Uint8Array)[k] = frame.values[3 * k + c] as number;
    const [red, green, blue] = channels;
    for (let k = 0; k < size; k++) values[k] = luma(red[k] as number, green[k] as number, blue[k] as number) / 255;
    facts = measureColour(channels, width, height);
  }
  const { turn, damaged } = readOrientation(exif, xmp);
  if (damaged) facts.exif = "damaged";
  return { ...makeUpright({ width, height, values }, turn), format: "jpeg", facts };
}
