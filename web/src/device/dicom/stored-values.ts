// The stored values of a DICOM file: native samples, RLE, or a stream that a decompressor takes.
// Sections are those of PS3.5 unless stated otherwise.

import type { Element } from "dicom-parser";
import { Decoder as LosslessJpeg } from "jpeg-lossless-decoder-js";
import { join } from "../bytes";
import { decompress } from "../codecs";
import { checkJpegEnd, readSegments } from "../jpeg";
import { FileProblem } from "../picture";
import { TAG, type Tags, wrong } from "./tags";

export interface Shape {
  rows: number;
  columns: number;
  samples: number;
  allocated: number;
  bits: number;
  signed: boolean;
  photometric: string;
  /** Bits below a stored value. */
  unusedLow: number;
}

export interface StoredValues {
  /** Interleaved. */
  values: ArrayLike<number>;
  /** The bits are those of the writer: what is above BitsStored is no part of a value. */
  exact: boolean;
  isRgb: boolean;
}

const UID = "1.2.840.10008.1.2";
export const NATIVE = [UID, `${UID}.1`, `${UID}.1.99`, `${UID}.2`, "1.2.840.113619.5.2"];
const RLE = `${UID}.5`;
const JPEG = [`${UID}.4.50`, `${UID}.4.51`];
const JPEG_LOSSLESS = [`${UID}.4.57`, `${UID}.4.70`];
const JPEG_LS = [`${UID}.4.80`, `${UID}.4.81`];
const JPEG_2000 = [`${UID}.4.90`, `${UID}.4.91`, `${UID}.4.201`, `${UID}.4.202`, `${UID}.4.203`];
const LOSSLESS = [RLE, ...JPEG_LOSSLESS, `${UID}.4.80`, `${UID}.4.90`, `${UID}.4.201`, `${UID}.4.202`];

const truncated = () => new FileProblem("damaged", "it holds truncated pixel data");

/** Return the stored values of a file. */
export async function readStoredValues(tags: Tags, syntax: string, shape: Shape): Promise<StoredValues> {
  const element = tags.element(TAG.pixels);
  if (!element) throw new FileProblem("not-a-radiograph", "it has no pixel data");
  if (NATIVE.includes(syntax)) return readNative(tags, element, shape);
  const stream = joinFragments(tags, element);
  if (stream.length === 0) throw truncated();
  if (syntax === RLE) return { values: readRle(stream, shape), exact: true, isRgb: shape.photometric === "RGB" };
  const stored = await readStream(stream, syntax, shape);
  const overlay = findOverlay(tags, shape.bits);
  const lossless = LOSSLESS.includes(syntax) || (JPEG_LS.includes(syntax) && isLosslessJpegLs(stream));
  return { ...stored, exact: lossless || shape.unusedLow > 0 || overlay };
}

function findOverlay(tags: Tags, bits: number): boolean {
  for (let group = 0x6000; group < 0x6020; group += 2) {
    const position = tags.set.uint16(`x${group.toString(16)}0102`);
    if (position !== undefined && position >= bits) return true;
  }
  return false;
}

function readNative(tags: Tags, element: Element, shape: Shape): StoredValues {
  const { rows, columns, samples, allocated, signed } = shape;
  if (element.hadUndefinedLength || element.encapsulatedPixelData) throw wrong(TAG.pixels, "has no length");
  if (![8, 16, 32].includes(allocated)) throw wrong(TAG.allocated, `is ${allocated}`, "unsupported");
  const subsampled = shape.photometric === "YBR_FULL_422";
  if (subsampled) throw wrong(TAG.photometric, "is YBR_FULL_422", "unsupported");
  const expected = (rows * columns * samples * allocated) / 8;
  const bytes = tags.bytes(TAG.pixels);
  const padded = expected + (expected % 2);
  if (!(bytes.length >= expected && bytes.length < padded + Math.max(2, Math.floor(padded / rows))))
    throw wrong(TAG.pixels, `has ${bytes.length} bytes; the declared size needs ${expected}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = rows * columns * samples;
  const little = tags.little;
  // 8-bit samples in words: a big-endian file has each pair of them exchanged (8.2).
  const swapped = allocated === 8 && !little && element.vr !== "OB";
  const read = (k: number) => {
    if (allocated === 8) return view.getUint8(swapped ? k ^ 1 : k);
    if (allocated === 16) return signed ? view.getInt16(2 * k, little) : view.getUint16(2 * k, little);
    return view.getInt32(4 * k, little);
  };
  const values = allocated === 8 ? new Uint8Array(count) : new Int32Array(count);
  const planar = samples === 3 && tags.integer(TAG.planar) === 1;
  const size = rows * columns;
  for (let k = 0; k < count; k++) values[planar ? 3 * (k % size) + Math.floor(k / size) : k] = read(k);
  return { values, exact: true, isRgb: shape.photometric === "RGB" };
}

/** Return the compressed stream of the one frame (A.4); an offset table is not used. */
function joinFragments(tags: Tags, element: Element): Uint8Array {
  const bytes = tags.set.byteArray;
  const pieces: Uint8Array[] = [];
  for (const fragment of element.fragments ?? []) {
    const piece = bytes.subarray(fragment.position, fragment.position + fragment.length);
    pieces.push(piece);
    let end = piece.length;
    while (
      end > 0 &&
      piece.length - end < 64 &&
      (piece[end - 1] === 0 || (piece[end - 1] === 0xff && end < piece.length))
    )
      end--;
    if (piece[end - 2] === 0xff && piece[end - 1] === 0xd9) break;
  }
  return join(pieces);
}

function checkDeclared(width: number, height: number, shape: Shape): void {
  if (width !== shape.columns || height !== shape.rows)
    throw new FileProblem(
      "damaged",
      `its stream has ${width} x ${height} pixels, the file ${shape.columns} x ${shape.rows}`,
    );
}

async function readStream(stream: Uint8Array, syntax: string, shape: Shape): Promise<Omit<StoredValues, "exact">> {
  if (JPEG_2000.includes(syntax)) {
    const codestream = openJp2(stream);
    const view = new DataView(codestream.buffer, codestream.byteOffset, codestream.length);
    if (codestream.length < 43) throw truncated();
    checkDeclared(view.getUint32(8) - view.getUint32(16), view.getUint32(12) - view.getUint32(20), shape);
    checkPrecision((view.getUint8(42) & 0x7f) + 1, shape);
    return checkFrame(await decompress("jpeg-2000", codestream), shape);
  }
  const { width, height, precision } = readSegments(stream);
  if (!width) throw new FileProblem("damaged", "its compressed pixel data have no readable header");
  checkDeclared(width, height, shape);
  checkPrecision(precision, shape);
  checkJpegEnd(stream);
  if (JPEG_LS.includes(syntax)) return checkFrame(await decompress("jpeg-ls", stream), shape);
  if (JPEG_LOSSLESS.includes(syntax)) return readLosslessJpeg(stream, shape, precision);
  if (JPEG.includes(syntax) && precision === 8) return checkFrame(await decompress("jpeg", stream), shape);
  throw new FileProblem("unsupported", `its pixels are coded as ${syntax}, ${precision} bits`);
}

function checkPrecision(precision: number, shape: Shape): void {
  if (shape.unusedLow && precision <= shape.unusedLow + shape.bits - 1)
    throw wrong(TAG.highBit, `lies outside the ${precision} bits of the compressed samples`);
}

function checkFrame(
  frame: { width: number; height: number; samples: number; signed: boolean; bits: number; values: ArrayLike<number> },
  shape: Shape,
): Omit<StoredValues, "exact"> {
  checkDeclared(frame.width, frame.height, shape);
  if (frame.samples !== shape.samples) throw new FileProblem("damaged", "its stream has another number of samples");
  return { values: shape.signed && !frame.signed ? extendSign(frame.values, shape.bits) : frame.values, isRgb: true };
}

function extendSign(values: ArrayLike<number>, bits: number): Int32Array {
  return Int32Array.from(values, (value) => (value << (32 - bits)) >> (32 - bits));
}

function readLosslessJpeg(stream: Uint8Array, shape: Shape, precision: number): Omit<StoredValues, "exact"> {
  if (shape.samples !== 1) throw new FileProblem("unsupported", "it is lossless JPEG in colour");
  try {
    const copy = stream.slice();
    const decoded = new LosslessJpeg().decode(copy.buffer, 0, copy.length, precision > 8 ? 2 : 1);
    const values = precision > 8 ? new Uint16Array(decoded.buffer) : new Uint8Array(decoded.buffer);
    if (values.length < shape.rows * shape.columns) throw new Error("too few samples");
    return { values: shape.signed ? extendSign(values, shape.bits) : values, isRgb: true };
  } catch (error) {
    throw new FileProblem("damaged", `its compressed pixels are damaged: ${String(error)}`);
  }
}

/** Return whether NEAR is 0 in the Start Of Scan of a JPEG-LS stream (ISO/IEC 14495-1 C.2.3). */
function isLosslessJpegLs(stream: Uint8Array): boolean {
  for (let at = 2; at + 4 <= stream.length && stream[at] === 0xff; ) {
    const length = ((stream[at + 2] as number) << 8) | (stream[at + 3] as number);
    if (stream[at + 1] === 0xda) return stream[at + 2 + length - 3] === 0;
    at += stream[at + 1] === 0xff ? 1 : 2 + length;
  }
  return false;
}

/** Return the codestream in a JP2 file (ISO/IEC 15444-1 I.4), or the stream itself. */
function openJp2(stream: Uint8Array): Uint8Array {
  if (!(stream[4] === 0x6a && stream[5] === 0x50 && stream[0] === 0)) return stream;
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  for (let at = 0; at + 8 <= stream.length; ) {
    const length = view.getUint32(at);
    const wide = length === 1;
    const end = length === 0 ? stream.length : at + (wide ? Number(view.getBigUint64(at + 8)) : length);
    const start = at + (wide ? 16 : 8);
    if (view.getUint32(at + 4) === 0x6a703263) return stream.subarray(start, end);
    if (end < start) break;
    at = end;
  }
  return stream;
}

/** Return the values of an RLE frame (annex G): a segment for each byte of each sample, the highest first. */
function readRle(stream: Uint8Array, { rows, columns, samples, allocated, signed }: Shape): ArrayLike<number> {
  if (stream.length < 64) throw truncated();
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  const size = rows * columns;
  const bytes = allocated / 8;
  const count = view.getUint32(0, true);
  if (count !== samples * bytes || count > 15 || bytes > 2)
    throw new FileProblem("damaged", "it has wrong RLE segments");
  const values = new Int32Array(size * samples);
  for (let segment = 0; segment < count; segment++) {
    const start = view.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < count ? view.getUint32(8 + 4 * segment, true) : stream.length;
    const plane = unpackBits(stream.subarray(start, end), size);
    const sample = Math.floor(segment / bytes);
    const shift = 8 * (bytes - 1 - (segment % bytes));
    for (let k = 0; k < size; k++)
      values[k * samples + sample] = (values[k * samples + sample] as number) | ((plane[k] as number) << shift);
  }
  return signed ? extendSign(values, allocated) : values;
}

function unpackBits(segment: Uint8Array, size: number): Uint8Array {
  const plane = new Uint8Array(size);
  let [at, filled] = [0, 0];
  while (at < segment.length && filled < size) {
    const code = segment[at++] as number;
    if (code < 128) {
      const run = segment.subarray(at, at + Math.min(code + 1, size - filled));
      plane.set(run, filled);
      filled += run.length;
      at += code + 1;
    } else if (code > 128) {
      if (at >= segment.length) break;
      const end = Math.min(size, filled + 257 - code);
      plane.fill(segment[at++] as number, filled, end);
      filled = end;
    }
  }
  if (filled < size) throw truncated();
  return plane;
}
