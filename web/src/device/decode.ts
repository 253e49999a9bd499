// A file to a radiograph, by its first bytes; never through a canvas, which has 8 bits and colour profiles.
import { type Facts, FileProblem, type Radiograph } from "./picture";
import { decodePng } from "./png";
import rules from "./rules.json";

/** Other kinds that the server reads and this page does not. */
const NOT_HERE: [number, number[]][] = [
  [0, [0x49, 0x49, 0x2a, 0]],
  [0, [0x4d, 0x4d, 0, 0x2a]],
  [8, [0x57, 0x45, 0x42, 0x50]], // WEBP
];

function startsWith(data: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, k) => data[at + k] === byte);
}

/** Decode a PNG, JPEG or DICOM file; `depth`: the bits in use of a 16-bit PNG, if they are fewer. */
export async function decode(data: Uint8Array, depth?: number): Promise<Radiograph> {
  if (data.length === 0) throw new FileProblem("empty", "it is empty");
  if (data.length > rules.maxBytes) throw new FileProblem("too-large", "it is too large", { limit_mib: 512 });
  if (startsWith(data, 0, [0x89, 0x50, 0x4e, 0x47])) return decodePng(data, depth);
  if (startsWith(data, 0, [0xff, 0xd8, 0xff])) return (await import("./jpeg")).decodeJpeg(data);
  if (startsWith(data, 128, [0x44, 0x49, 0x43, 0x4d])) return (await import("./dicom/decode")).decodeDicom(data);
  if (NOT_HERE.some(([at, bytes]) => startsWith(data, at, bytes)))
    throw new FileProblem("unsupported", "it is TIFF or WebP, which only the server reads");
  throw new FileProblem("not-an-image", "it is not PNG, JPEG or DICOM");
}

export type { Facts, Radiograph };
