// A DICOM file to float32 grey, as pneumoscope.imaging.dicom.decode has it: other objects are refused, the display
// chain is applied. Sections are those of PS3.3 unless stated otherwise.
import * as dicomParser from "dicom-parser";
import { join } from "../bytes";
import { measureColour } from "../colour";
import { inflate } from "../inflate";
import {
  checkSize,
  type Facts,
  FileProblem,
  luma,
  makeUpright,
  type Plane,
  type Radiograph,
  type Turn,
} from "../picture";
import rules from "../rules.json";
import {
  applyModality,
  type DisplayChain,
  displayTable,
  type Lut,
  lowestOf,
  type Rescale,
  type Window,
} from "./display";
import { NATIVE, readStoredValues, type Shape, type StoredValues } from "./stored-values";
import { readFacts, TAG, Tags, wrong } from "./tags";

const R = rules.dicom;
const STORAGE = "1.2.840.10008.5.1.4.1.1.";
const BIG_ENDIAN = "1.2.840.10008.1.2.2";
const SEQUENCES: readonly string[] = [TAG.modalityLut, TAG.voiLut, TAG.viewCodes, TAG.sharedGroups, TAG.frameGroups];

export async function decodeDicom(data: Uint8Array): Promise<Radiograph> {
  const { tags, syntax } = parse(data);
  checkKind(tags);
  const shape = readShape(tags);
  const turn = readTurn(tags);
  const facts = readFacts(tags);
  const chain = shape.samples === 1 ? readDisplay(tags, shape) : null;
  if (!NATIVE.includes(syntax) && !syntax.startsWith("1.2.840.10008.1.2."))
    throw new FileProblem("unsupported", `its transfer syntax ${syntax} is not known`);
  const stored = await readStoredValues(tags, syntax, shape);
  const plane = chain ? applyDisplay(stored, shape, chain) : toGrey(stored, shape, facts);
  return { ...makeUpright(plane, turn), format: "dicom", facts };
}

function parse(data: Uint8Array): { tags: Tags; syntax: string } {
  let syntax = "";
  try {
    const set = dicomParser.parseDicom(data, {
      inflater: (bytes: Uint8Array, position: number) => inflateDataSet(bytes, position),
      vrCallback: (tag: string) => (SEQUENCES.includes(tag) ? "SQ" : undefined),
    } as Parameters<typeof dicomParser.parseDicom>[1]);
    syntax = (set.string("x00020010") ?? "").trim();
    return { tags: new Tags(set, syntax !== BIG_ENDIAN), syntax };
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem("damaged", "it is a damaged or truncated DICOM file");
  }
}

/** Return a deflated file (PS3.5 A.5) with its data set inflated, within the limit. */
function inflateDataSet(bytes: Uint8Array, position: number): Uint8Array {
  const plain = join(inflate([bytes.subarray(position)], rules.maxBytes + 1 - position, true));
  if (position + plain.length > rules.maxBytes)
    throw new FileProblem("too-large", "it inflates beyond the limit", { limit_mib: 512 });
  return join([bytes.subarray(0, position), plain]);
}

/** Refuse every object but one projection radiograph that is meant for display. */
function checkKind(tags: Tags): void {
  const [modality, sopClass] = [tags.text(TAG.modality), tags.text(TAG.sopClass)];
  if (!R.modalities.includes(modality)) {
    const kind = R.otherKinds.includes(modality) ? { kind: modality } : undefined;
    throw new FileProblem("not-a-radiograph", "its modality is that of no radiograph", kind);
  }
  if (tags.text(TAG.intent) === "FOR PROCESSING" || R.forProcessing.includes(sopClass))
    throw new FileProblem("not-a-radiograph", "it holds raw detector values, FOR PROCESSING");
  if (!tags.element(TAG.pixels)) {
    if (!tags.element(TAG.rows)) throw new FileProblem("damaged", "it ends before its pixel data");
    throw new FileProblem("not-a-radiograph", "it has no pixel data");
  }
  if (sopClass.startsWith(STORAGE) && !R.classes.includes(sopClass))
    throw new FileProblem("not-a-radiograph", "its class is that of no radiograph");
  if ((tags.integer(TAG.frames) || 1) !== 1) throw new FileProblem("frames", "it holds several frames");
  if (tags.items(TAG.sharedGroups).length || tags.items(TAG.frameGroups).length)
    throw new FileProblem("frames", "it is an enhanced multi-frame object");
}

/** Return the Image Pixel module (C.7.6.3), checked before any pixel is decoded. */
function readShape(tags: Tags): Shape {
  const shape: Shape = {
    rows: tags.required(TAG.rows),
    columns: tags.required(TAG.columns),
    samples: tags.required(TAG.samples),
    allocated: tags.required(TAG.allocated),
    bits: tags.required(TAG.stored),
    signed: tags.required(TAG.representation) === 1,
    photometric: tags.text(TAG.photometric),
    unusedLow: 0,
  };
  checkSize(shape.columns, shape.rows, rules.maxPixels);
  const grey = shape.samples === 1 && ["MONOCHROME1", "MONOCHROME2"].includes(shape.photometric);
  if (!grey && (shape.samples !== 3 || !R.colours.includes(shape.photometric)))
    throw wrong(TAG.photometric, "is of no kind that is read", "unsupported");
  if (!grey && shape.signed) throw wrong(TAG.representation, "says that colours are signed", "unsupported");
  if (!(shape.bits >= 1 && shape.bits <= Math.min(16, shape.allocated)))
    throw wrong(TAG.stored, `is ${shape.bits} of ${shape.allocated} bits`, "unsupported");
  const high = tags.integer(TAG.highBit) || shape.bits - 1;
  if (!(high >= shape.bits - 1 && high < shape.allocated)) throw wrong(TAG.highBit, `is ${high} (PS3.5 8.1.1)`);
  return { ...shape, unusedLow: high - shape.bits + 1 };
}

function readDisplay(tags: Tags, shape: Shape): DisplayChain {
  const lutShape = tags.text(TAG.presentationShape);
  if (!["", "IDENTITY", "INVERSE"].includes(lutShape))
    throw wrong(TAG.presentationShape, "is not known", "unsupported");
  const modality = readModality(tags, shape.signed);
  const lowest = lowestOf(shape);
  const ends = [lowest, lowest + 2 ** shape.bits - 1].map((value) => applyModality(modality, value));
  return {
    bits: shape.bits,
    signed: shape.signed,
    modality,
    voi: readVoi(tags, Math.min(...ends) < 0),
    inverted: shape.photometric === "MONOCHROME1" || lutShape === "INVERSE",
    padding: readPadding(tags, shape),
  };
}

/** Return a number, or null where the tag is malformed or absent. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof FileProblem) return null;
    throw error;
  }
}

const tableItems = (tags: Tags, tag: typeof TAG.modalityLut | typeof TAG.voiLut) =>
  tags.items(tag).filter((item) => item.hasValue(TAG.lutDescriptor) && item.hasValue(TAG.lutData));

function readModality(tags: Tags, signed: boolean): Lut | Rescale | null {
  const [item] = tableItems(tags, TAG.modalityLut);
  if (item) return readLut(item, signed);
  const [slope, intercept] = [attempt(() => tags.number(TAG.slope)), attempt(() => tags.number(TAG.intercept))];
  return !slope || intercept === null ? null : { kind: "rescale", slope, intercept };
}

function readVoi(tags: Tags, negative: boolean): Lut | Window | null {
  const [item] = tableItems(tags, TAG.voiLut);
  if (item) return readLut(item, negative);
  if (!tags.hasValue(TAG.windowCenter) && !tags.hasValue(TAG.windowWidth)) return null;
  const kind = tags.text(TAG.voiFunction) || "LINEAR";
  if (!["LINEAR", "LINEAR_EXACT", "SIGMOID"].includes(kind))
    throw wrong(TAG.voiFunction, "is not known", "unsupported");
  const [centre, width] = [attempt(() => tags.number(TAG.windowCenter)), attempt(() => tags.number(TAG.windowWidth))];
  if (centre === null || width === null || (kind === "LINEAR" ? width < 1 : width <= 0)) return null;
  return { kind: "window", centre, width, function: kind };
}

/** Return a look-up table by its descriptor (C.11.1.1): number of entries, first input, bits of an entry. */
function readLut(item: Tags, negative: boolean): Lut {
  const descriptor = item.numbers(TAG.lutDescriptor);
  const bits = descriptor[2] ?? 0;
  if (descriptor.length !== 3 || !(bits >= 1 && bits <= 16)) throw wrong(TAG.lutDescriptor, "is malformed");
  const modulo = (value: number) => ((value % 65536) + 65536) % 65536;
  const count = modulo(descriptor[0] as number) || 65536;
  let first = modulo(descriptor[1] as number);
  if (negative && first >= 32768) first -= 65536;
  const bytes = item.bytes(TAG.lutData);
  const packed = count > 1 && (bytes.length === count || bytes.length === count + 1);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let entries: number[] = packed
    ? Array.from(bytes.subarray(0, count))
    : Array.from({ length: Math.floor(bytes.length / 2) }, (_, k) => view.getUint16(2 * k, item.little));
  const rest = entries.slice(count).reduce((a, b) => Math.max(a, b), 0);
  if (!(rest > 0 && rest < 2 ** bits)) entries = entries.slice(0, count);
  const highest = entries.reduce((a, b) => Math.max(a, b), 0);
  if (entries.length < count || highest >= 2 ** bits) throw wrong(TAG.lutData, "does not fit its descriptor");
  return { kind: "table", first, entries, bits };
}

function readPadding(tags: Tags, shape: Shape): [number, number] | null {
  const value = tags.integer(TAG.padding);
  if (value === null) return null;
  const limit = tags.integer(TAG.paddingLimit) ?? value;
  const ends = [value, limit].map((end) => {
    if (shape.signed && end >= 2 ** (shape.allocated - 1)) return end - 2 ** shape.allocated;
    return !shape.signed && end < 0 ? end + 2 ** shape.allocated : end;
  });
  return [Math.min(...ends), Math.max(...ends)];
}

function applyDisplay({ values, exact }: StoredValues, shape: Shape, chain: DisplayChain): Plane {
  const table = displayTable(chain);
  const lowest = lowestOf(chain);
  const mask = 2 ** chain.bits - 1;
  const { padding } = chain;
  const outside = padding && !(padding[0] >= lowest && padding[0] <= lowest + mask) ? padding : null;
  const size = shape.rows * shape.columns;
  const grey = new Float32Array(size);
  for (let k = 0; k < size; k++) {
    const value = (values[k] as number) >> shape.unusedLow;
    const index = exact ? (value & mask) ^ -lowest : Math.min(Math.max(value - lowest, 0), mask);
    grey[k] = outside && value >= outside[0] && value <= outside[1] ? 0 : (table[index] as number);
  }
  return { width: shape.columns, height: shape.rows, values: grey };
}

function toGrey({ values, exact, isRgb }: StoredValues, shape: Shape, facts: Facts): Plane {
  const white = 2 ** shape.bits - 1;
  const size = shape.rows * shape.columns;
  const channels = [0, 1, 2].map(() => new Uint16Array(size)) as [Uint16Array, Uint16Array, Uint16Array];
  for (let k = 0; k < 3 * size; k++) {
    const value = (values[k] as number) >> shape.unusedLow;
    (channels[k % 3] as Uint16Array)[Math.floor(k / 3)] = exact ? value & white : Math.min(value, white);
  }
  if (!isRgb) {
    if (shape.photometric !== "YBR_FULL" || shape.bits !== 8) throw wrong(TAG.photometric, "is not RGB", "unsupported");
    convertFromYbr(channels);
  }
  const [red, green, blue] = channels;
  const grey = new Float32Array(size);
  for (let k = 0; k < size; k++) grey[k] = luma(red[k] as number, green[k] as number, blue[k] as number) / white;
  const toEight = (values: Uint16Array) =>
    Uint8Array.from(values, (value) => (shape.bits > 8 ? value >> (shape.bits - 8) : value << (8 - shape.bits)));
  Object.assign(facts, measureColour([toEight(red), toEight(green), toEight(blue)], shape.columns, shape.rows));
  return { width: shape.columns, height: shape.rows, values: grey };
}

/** Turn YBR_FULL (C.7.6.3.1.2) into RGB in place. */
function convertFromYbr([first, second, third]: [Uint16Array, Uint16Array, Uint16Array]): void {
  const clip = (value: number) => Math.min(Math.max(Math.floor(value + 0.5), 0), 255);
  for (let k = 0; k < first.length; k++) {
    const [y, b, r] = [first[k] as number, (second[k] as number) - 128, (third[k] as number) - 128];
    first[k] = clip(y + 1.402 * r);
    second[k] = clip(y - (0.114 * 1.772 * b + 0.299 * 1.402 * r) / 0.587);
    third[k] = clip(y + 1.772 * b);
  }
}

/** Return how to bring row 0 to the head and column 0 to the patient's right (C.7.6.1.1.1). */
function readTurn(tags: Tags): Turn {
  const directions = tags.texts(TAG.patientOrientation);
  if (!directions.some(Boolean)) return {};
  const [along = "", down = ""] = directions.length === 2 ? directions.map((one) => one.slice(0, 1)) : [];
  const [ends, sides] = ["FH", "LRAP"];
  const has = (letters: string, one: string) => one !== "" && letters.includes(one);
  if (has(ends, down) && has(sides, along)) return { reverseRows: down === "H", reverseColumns: along === "R" };
  if (has(ends, along) && has(sides, down))
    return { swap: true, reverseRows: along === "H", reverseColumns: down === "R" };
  throw wrong(TAG.patientOrientation, "does not say which way the head is");
}
