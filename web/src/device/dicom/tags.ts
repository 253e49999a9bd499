// Typed access to the tags of a DICOM file, as pneumoscope.imaging.dicom.tags has it. Sections are those of PS3.3.
import type { DataSet, Element } from "dicom-parser";
import { type Facts, FileProblem } from "../picture";
import rules from "../rules.json";

/** Tags that are read, as dicom-parser names them. */
export const TAG = {
  sopClass: "x00080016",
  studyDate: "x00080020",
  modality: "x00080060",
  intent: "x00080068",
  manufacturer: "x00080070",
  model: "x00081090",
  birthDate: "x00100030",
  sex: "x00100040",
  age: "x00101010",
  bodyPart: "x00180015",
  view: "x00185101",
  viewCodes: "x00540220",
  codeValue: "x00080100",
  patientOrientation: "x00200020",
  laterality: "x00200060",
  imageLaterality: "x00200062",
  samples: "x00280002",
  photometric: "x00280004",
  planar: "x00280006",
  frames: "x00280008",
  rows: "x00280010",
  columns: "x00280011",
  allocated: "x00280100",
  stored: "x00280101",
  highBit: "x00280102",
  representation: "x00280103",
  padding: "x00280120",
  paddingLimit: "x00280121",
  windowCenter: "x00281050",
  windowWidth: "x00281051",
  intercept: "x00281052",
  slope: "x00281053",
  voiFunction: "x00281056",
  modalityLut: "x00283000",
  lutDescriptor: "x00283002",
  lutData: "x00283006",
  voiLut: "x00283010",
  presentationShape: "x20500020",
  sharedGroups: "x52009229",
  frameGroups: "x52009230",
  pixels: "x7fe00010",
} as const;
type Tag = (typeof TAG)[keyof typeof TAG];

/** Tags whose values are binary numbers where the file (implicit VR) does not say so. */
const BINARY = new Set<string>([
  ...[TAG.samples, TAG.planar, TAG.rows, TAG.columns, TAG.allocated, TAG.stored, TAG.highBit, TAG.representation],
  ...[TAG.padding, TAG.paddingLimit, TAG.lutDescriptor],
]);
const SIZES: Record<string, number> = { US: 2, SS: 2, UL: 4, SL: 4, FL: 4, FD: 8 };

export function wrong(tag: string, problem: string, code = "damaged"): FileProblem {
  return new FileProblem(code, `its DICOM tag (${tag.slice(1, 5)},${tag.slice(5)}) ${problem}`);
}

export class Tags {
  readonly set: DataSet;
  readonly little: boolean;
  constructor(set: DataSet, little: boolean) {
    this.set = set;
    this.little = little;
  }

  element(tag: string): Element | undefined {
    return this.set.elements[tag];
  }

  /** The tag's values as text, in capitals and without padding; none if it is absent or empty. */
  texts(tag: Tag): string[] {
    const values = this.#strings(tag).map((value) => value.trim().toUpperCase());
    return values.every((value) => value === "") ? [] : values;
  }

  text(tag: Tag): string {
    return this.texts(tag)[0] ?? "";
  }

  #strings(tag: Tag): string[] {
    const element = this.element(tag);
    if (!element?.length) return [];
    const bytes = this.set.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
    return new TextDecoder("latin1").decode(bytes).replace(/\0+$/, "").split("\\");
  }

  hasValue(tag: Tag): boolean {
    const element = this.element(tag);
    return element !== undefined && (element.items !== undefined ? element.items.length > 0 : element.length > 0);
  }

  /** The tag's values as finite numbers. */
  numbers(tag: Tag): number[] {
    const element = this.element(tag);
    if (!element?.length) return [];
    const vr = element.vr && element.vr in SIZES ? element.vr : !element.vr && BINARY.has(tag) ? "US" : null;
    let numbers: number[];
    if (vr) numbers = this.#readBinary(element, vr);
    else {
      const texts = this.texts(tag);
      if (texts.some((text) => !/^[-+]?(\d+\.?\d*|\.\d+)(E[-+]?\d+)?$/.test(text))) throw wrong(tag, "is not a number");
      numbers = texts.map(Number);
    }
    if (!numbers.every(Number.isFinite)) throw wrong(tag, "is not a finite number");
    return numbers;
  }

  #readBinary(element: Element, vr: string): number[] {
    const { byteArray } = this.set;
    const view = new DataView(byteArray.buffer, byteArray.byteOffset + element.dataOffset, element.length);
    const size = SIZES[vr] as number;
    const read: Record<string, (at: number) => number> = {
      US: (at) => view.getUint16(at, this.little),
      SS: (at) => view.getInt16(at, this.little),
      UL: (at) => view.getUint32(at, this.little),
      SL: (at) => view.getInt32(at, this.little),
      FL: (at) => view.getFloat32(at, this.little),
      FD: (at) => view.getFloat64(at, this.little),
    };
    return Array.from({ length: Math.floor(element.length / size) }, (_, k) =>
      (read[vr] as (at: number) => number)(k * size),
    );
  }

  number(tag: Tag): number | null {
    return this.numbers(tag)[0] ?? null;
  }

  integer(tag: Tag): number | null {
    const number = this.number(tag);
    if (number !== null && !Number.isInteger(number)) throw wrong(tag, "is not a whole number");
    return number;
  }

  required(tag: Tag): number {
    const value = this.integer(tag);
    if (value === null) throw wrong(tag, "is missing");
    return value;
  }

  /** The items of a sequence; none if it is absent. */
  items(tag: Tag): Tags[] {
    const element = this.element(tag);
    if (element && element.length > 0 && !element.items) throw wrong(tag, "is not a sequence");
    return (element?.items ?? []).flatMap((item) => (item.dataSet ? [new Tags(item.dataSet, this.little)] : []));
  }

  /** The bytes of a tag's value. */
  bytes(tag: Tag): Uint8Array {
    const element = this.element(tag);
    return element
      ? this.set.byteArray.subarray(element.dataOffset, element.dataOffset + element.length)
      : new Uint8Array();
  }
}

const DAYS_PER_YEAR = 365.25;
const AGE_UNITS: Record<string, number> = { D: 1 / DAYS_PER_YEAR, W: 7 / DAYS_PER_YEAR, M: 1 / 12, Y: 1 };

/** Return what a file says about the exposure and is used here: no name, number or date. */
export function readFacts(tags: Tags): Facts {
  const facts: Facts = {};
  const codes = tags
    .items(TAG.viewCodes)
    .map((item) => (rules.dicom.viewCodes as Record<string, string>)[item.text(TAG.codeValue)]);
  const view = tags.text(TAG.view);
  const age = readAge(tags);
  const known = {
    view: (rules.dicom.viewTerms as Record<string, string>)[view] ?? (view || codes.find(Boolean)),
    modality: tags.text(TAG.modality),
    body_part: tags.text(TAG.bodyPart),
    photometric_interpretation: tags.text(TAG.photometric),
  };
  for (const [name, value] of Object.entries(known)) if (value) facts[name] = value;
  if (age !== null) facts.age = age;
  return facts;
}

/** Return the age in years by PatientAge, or else from birth to study; null if neither says it. */
function readAge(tags: Tags): number | null {
  const stated = /^(\d{3})([DWMY])$/.exec(tags.text(TAG.age));
  if (stated) return Number(stated[1]) * (AGE_UNITS[stated[2] as string] as number);
  const [birth, study] = [parseDate(tags.text(TAG.birthDate)), parseDate(tags.text(TAG.studyDate))];
  if (!birth || !study || birth > study) return null;
  const before =
    study.getUTCMonth() < birth.getUTCMonth() ||
    (study.getUTCMonth() === birth.getUTCMonth() && study.getUTCDate() < birth.getUTCDate());
  const years = study.getUTCFullYear() - birth.getUTCFullYear() - (before ? 1 : 0);
  if (years < 2) return (study.getTime() - birth.getTime()) / 864e5 / DAYS_PER_YEAR;
  return years <= 130 ? years : null;
}

function parseDate(text: string): Date | null {
  const digits = text.replaceAll(".", "");
  if (!/^\d{8}$/.test(digits)) return null;
  const iso = `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6)}`;
  const date = new Date(`${iso}T00:00:00Z`);
  return Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== iso ? null : date;
}
