// PNG to float32 grey, as pneumoscope.imaging has it: any depth and colour type, every checksum checked.
// Clauses are those of ISO/IEC 15948.
import { decode } from "fast-png";
import { join } from "./bytes";
import { measureColour, measureColourWithAlpha } from "./colour";
import { ascii, readOrientation } from "./exif";
import { inflate } from "./inflate";
import { checkSize, type Facts, FileProblem, luma, makeUpright, type Plane, type Radiograph } from "./picture";
import rules from "./rules.json";

const ANCILLARY =
  "bKGD cHRM cICP cLLI dSIG eXIf gAMA hIST iCCP iTXt mDCV oFFs pCAL pHYs sBIT sCAL sPLT sRGB sTER tEXt tIME zTXt".split(
    " ",
  );
const SIGNATURE_END = 8;
/** Bytes of a text that is inflated to look for an orientation, as in Python. */
const LARGEST_TEXT = 2 ** 20;
/** Bytes of a block of deflate that is stored. */
const LARGEST_BLOCK = 65535;
/** The first column and row of each pass of Adam7, and the steps between its columns and rows (8.2). */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }; // 11.2.1

interface Header {
  width: number;
  height: number;
  bits: number;
  colourType: number;
  interlaced: boolean;
  /** The chunks before the image data that its pixels depend on, with the signature. */
  before: Uint8Array[];
  /** The contents of the image data chunks: parts of one stream. */
  coded: Uint8Array[];
  /** The last chunk. */
  last: Uint8Array;
  /** The transparent grey or colour (11.3.2.1), for colour types 0 and 2. */
  transparent: number[] | null;
  exif: Uint8Array | null;
  xmp: Uint8Array | null;
  exifDamaged: boolean;
}

let table: Uint32Array | null = null;

/** Return the CRC-32 of bytes (annex D). */
function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (table[(crc ^ byte) & 255] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Walk through the chunks: check the declared size, every checksum, the number of frames and the end. */
function readHeader(data: Uint8Array): Header {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const before = [data.subarray(0, SIGNATURE_END)];
  const coded: Uint8Array[] = [];
  let [at, frames, colours] = [SIGNATURE_END, 1, 0];
  let header: Omit<Header, "before" | "coded" | "last"> | null = null;
  while (at + 12 <= data.length) {
    const length = view.getUint32(at);
    const kind = ascii(data.subarray(at + 4, at + 8));
    const end = at + 8 + length;
    if (end + 4 > data.length || (header === null && (kind !== "IHDR" || length !== 13))) break;
    const content = data.subarray(at + 8, end);
    const intact = crc32(data.subarray(at + 4, end)) === view.getUint32(end);
    if (!intact && !ANCILLARY.includes(kind)) throw new FileProblem("damaged", `a checksum is wrong at byte ${at}`);
    const chunk = data.subarray(at, end + 4);
    if (kind === "IHDR") {
      const [bits = 0, colourType = 0] = data.subarray(at + 16, at + 18);
      header = {
        width: view.getUint32(at + 8),
        height: view.getUint32(at + 12),
        bits,
        colourType,
        interlaced: data[at + 20] !== 0,
        transparent: null,
        exif: null,
        xmp: null,
        exifDamaged: false,
      };
      checkSize(header.width, header.height, rules.maxPixels);
      before.push(chunk);
    } else if (header === null) break;
    else if (kind === "IDAT") coded.push(content);
    else if (kind === "PLTE") {
      colours = Math.floor(length / 3);
      if (header.colourType === 3) before.push(chunk);
    } else if (kind === "tRNS" && header.transparent === null && coded.every((part) => part.length === 0)) {
      const { colourType } = header;
      if ((colourType === 0 && length === 2) || (colourType === 2 && length === 6))
        header.transparent = Array.from({ length: length / 2 }, (_, k) => view.getUint16(at + 8 + 2 * k));
      else if (colourType === 3 && length > 0 && length <= colours) before.push(chunk);
    } else if (kind === "acTL" && length >= 4) frames = view.getUint32(at + 8);
    else if (kind === "IEND") {
      if (frames !== 1) throw new FileProblem("frames", "it holds several frames");
      return { ...header, before, coded, last: chunk };
    } else if (kind === "eXIf" && !intact) header.exifDamaged = true;
    else if (intact) readNotes(kind, content, header);
    at = end + 4;
  }
  throw new FileProblem("damaged", "its last part (IEND) is missing");
}

/** Keep the Exif block or the XMP packet of a chunk; a malformed one is nothing. */
function readNotes(kind: string, content: Uint8Array, header: Pick<Header, "exif" | "xmp">): void {
  if (kind === "eXIf") header.exif ??= content;
  if (!["tEXt", "zTXt", "iTXt"].includes(kind)) return;
  const end = content.indexOf(0);
  const keyword = ascii(content.subarray(0, end));
  if (end < 0 || (keyword !== "Raw profile type exif" && keyword !== "XML:com.adobe.xmp")) return;
  let text = content.subarray(end + 1);
  let compressed = kind === "zTXt";
  if (kind === "zTXt") text = text.subarray(1);
  if (kind === "iTXt") {
    compressed = text[0] === 1;
    text = text.subarray(2);
    for (let k = 0; k < 2; k++) text = text.subarray(text.indexOf(0) + 1);
  }
  try {
    const plain = compressed ? join(inflate([text], LARGEST_TEXT)) : text;
    if (keyword === "XML:com.adobe.xmp") header.xmp ??= plain;
    else {
      const digits = ascii(plain).split("\n").slice(3).join("");
      if (/^([0-9a-f]{2})*$/i.test(digits))
        header.exif ??= Uint8Array.from({ length: digits.length / 2 }, (_, k) =>
          Number.parseInt(digits.slice(2 * k, 2 * k + 2), 16),
        );
    }
  } catch {
    return; // a note that cannot be inflated says nothing
  }
}

/** Return how many bytes the rows of an image have, with the byte of each for its filter (7.2, 8.2). */
function countBytes({ width, height, bits, colourType, interlaced }: Header): number {
  const pixel = bits * (SAMPLES[colourType] ?? 1);
  let size = 0;
  for (const [x, y, everyX, everyY] of interlaced ? PASSES : ([[0, 0, 1, 1]] as const)) {
    const [columns, rows] = [Math.ceil((width - x) / everyX), Math.ceil((height - y) / everyY)];
    if (columns > 0 && rows > 0) size += rows * (1 + Math.ceil((columns * pixel) / 8));
  }
  return size;
}

/**
 * Return the file without the chunks that its pixels do not depend on, its image data stored in place of deflated:
 * fast-png inflates all that a file holds, however much that is.
 */
function storePixels({ before, coded, last }: Header, size: number): Uint8Array {
  const blocks: Uint8Array[] = [Uint8Array.of(0x78, 0x01)]; // RFC 1950 2.2
  const store = (block: Uint8Array, final = 0) => {
    const [low, high] = [block.length & 255, block.length >> 8];
    blocks.push(Uint8Array.of(final, low, high, low ^ 255, high ^ 255), block); // RFC 1951 3.2.4
  };
  for (const piece of inflate(coded, size))
    for (let at = 0; at < piece.length; at += LARGEST_BLOCK) store(piece.subarray(at, at + LARGEST_BLOCK));
  store(new Uint8Array(), 1);
  const checksum = new Uint8Array(4); // fast-png looks at none; those of the file's chunks were checked
  blocks.push(checksum);
  const head = new Uint8Array(8);
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  new DataView(head.buffer).setUint32(0, length);
  head.set([0x49, 0x44, 0x41, 0x54], 4); // IDAT
  return join([...before, head, ...blocks, checksum, last]);
}

/** Return the samples one by one: fast-png leaves those of less than 8 bits packed. */
function unpack(data: ArrayLike<number>, width: number, height: number, bits: number): ArrayLike<number> {
  if (bits >= 8) return data;
  const samples = new Uint8Array(width * height);
  const line = Math.ceil((width * bits) / 8);
  const [each, white] = [8 / bits, 2 ** bits - 1];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const byte = data[y * line + Math.floor(x / each)] as number;
      samples[y * width + x] = (byte >> (8 - bits * ((x % each) + 1))) & white;
    }
  return samples;
}

/** Decode a PNG; `depth`: the bits in use of a 16-bit grey one, if they are fewer. */
export function decodePng(data: Uint8Array, depth?: number): Radiograph {
  const header = readHeader(data);
  const { width, height, bits, colourType } = header;
  if (bits === 16 && colourType !== 0 && header.interlaced)
    throw new FileProblem("unsupported", "it is interlaced 16-bit colour");
  let image: ReturnType<typeof decode>;
  try {
    image = decode(storePixels(header, countBytes(header)));
  } catch (error) {
    throw new FileProblem("damaged", `it can't be decompressed: ${String(error)}`);
  }
  // A palette image that is interlaced, with less than 8 bits: fast-png's Adam7 keeps one sample a byte.
  const needed = header.interlaced
    ? width * height * (SAMPLES[colourType] ?? 1)
    : height * Math.ceil((width * bits * (SAMPLES[colourType] ?? 1)) / 8 / (bits === 16 ? 2 : 1));
  if (image.data.length < needed) throw new FileProblem("damaged", "its image data end before the last row");
  const samples = header.interlaced && bits < 8 ? image.data : unpack(image.data, width, height, bits);
  const { plane, facts } = toGrey(samples, header, image.palette ?? null, depth);
  const { turn, damaged } = readOrientation(header.exif, header.xmp);
  if (damaged || header.exifDamaged) facts.exif = "damaged";
  return { ...makeUpright(plane, turn), format: "png", facts };
}

function toGrey(
  samples: ArrayLike<number>,
  { width, height, bits, colourType, transparent }: Header,
  palette: number[][] | null,
  depth: number | undefined,
): { plane: Plane; facts: Facts } {
  const size = width * height;
  const values = new Float32Array(size);
  const plane = { width, height, values };
  if (colourType === 0) {
    const stored = 2 ** bits - 1;
    const white = bits === 16 && depth ? 2 ** depth - 1 : stored;
    let brightest = 0;
    for (let k = 0; k < size; k++) {
      const sample = samples[k] as number;
      brightest = Math.max(brightest, sample);
      values[k] = sample === transparent?.[0] ? 0 : sample / white;
    }
    if (brightest > white) throw new FileProblem("damaged", `it holds ${brightest}, above the declared white`);
    return { plane, facts: bits === 16 && !depth && brightest <= 4095 ? { largest_value: brightest } : {} };
  }
  const { red, green, blue, alpha } = splitChannels(samples, size, colourType, palette);
  const white = bits === 16 ? 65535 : 255;
  const opaque = Math.fround(white);
  for (let k = 0; k < size; k++) {
    const [r, g, b] = [red[k] as number, green[k] as number, blue[k] as number];
    let grey = Math.fround((colourType === 4 ? r : luma(r, g, b)) / white);
    if (alpha) grey *= Math.fround((alpha[k] as number) / opaque);
    else if (transparent && r === transparent[0] && g === transparent[1] && b === transparent[2]) grey = 0;
    values[k] = grey;
  }
  if (bits === 16 || colourType === 4) return { plane, facts: {} };
  const channels = [red, green, blue] as [ArrayLike<number>, ArrayLike<number>, ArrayLike<number>];
  return {
    plane,
    facts: alpha ? measureColourWithAlpha(channels, alpha, width, height) : measureColour(channels, width, height),
  };
}

function splitChannels(samples: ArrayLike<number>, size: number, colourType: number, palette: number[][] | null) {
  const make = () => new Uint16Array(size);
  const [red, green, blue] = [make(), make(), make()];
  if (colourType === 3) {
    const withAlpha = palette?.some((colour) => colour.length > 3 && colour[3] !== 255) ?? false;
    const alpha = withAlpha ? make() : null;
    for (let k = 0; k < size; k++) {
      const colour = palette?.[samples[k] as number] ?? [0, 0, 0];
      [red[k], green[k], blue[k]] = colour as [number, number, number];
      if (alpha) alpha[k] = colour[3] ?? 255;
    }
    return { red, green, blue, alpha };
  }
  const count = SAMPLES[colourType] ?? 1;
  const alpha = colourType === 2 ? null : make();
  for (let k = 0; k < size; k++) {
    const at = k * count;
    red[k] = samples[at] as number;
    green[k] = samples[colourType === 4 ? at : at + 1] as number;
    blue[k] = samples[colourType === 4 ? at : at + 2] as number;
    if (alpha) alpha[k] = samples[at + count - 1] as number;
  }
  return { red, green, blue, alpha };
}
