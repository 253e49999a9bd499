// A radiograph in memory, as pneumoscope.imaging has it: float32, 0 = black, 1 = white, row 0 = head.
import rules from "./rules.json";

/** What a file says about its image; the names are those of pneumoscope.imaging. */
export type Facts = Record<string, string | number>;

/** One plane of numbers, row by row. */
export interface Plane {
  width: number;
  height: number;
  values: Float32Array;
}

/** A mask, row by row: 1 inside. */
export interface Mask {
  width: number;
  height: number;
  values: Uint8Array;
}

/** A decoded file. */
export interface Radiograph extends Plane {
  format: "png" | "jpeg" | "dicom";
  facts: Facts;
}

/** How to bring an image upright: first swap the axes, then reverse rows and columns. */
export interface Turn {
  swap?: boolean;
  reverseRows?: boolean;
  reverseColumns?: boolean;
}

/** A file that can't be read; `code` is that of the server (page: `file.CODE`). */
export class FileProblem extends Error {
  readonly code: string;
  readonly values: Record<string, string | number>;
  constructor(code: string, message: string, values: Record<string, string | number> = {}) {
    super(message);
    this.code = code;
    this.values = values;
  }
}

/** Whether a picture is so long that no graph runs on it: a graph would stretch its short side for minutes. */
export function isStrip({ width, height }: { width: number; height: number }): boolean {
  const longer = Math.max(width, height);
  return longer > rules.screening.short && longer / Math.min(width, height) > rules.screening.strip;
}

/** Return a plane upright; the same one if there is nothing to turn. */
export function makeUpright(plane: Plane, turn: Turn): Plane {
  if (!turn.swap && !turn.reverseRows && !turn.reverseColumns) return plane;
  const { width, height, values } = plane;
  const [columns, rows] = turn.swap ? [height, width] : [width, height];
  const turned = new Float32Array(values.length);
  for (let y = 0; y < rows; y++) {
    const row = turn.reverseRows ? rows - 1 - y : y;
    for (let x = 0; x < columns; x++) {
      const column = turn.reverseColumns ? columns - 1 - x : x;
      turned[y * columns + x] = values[turn.swap ? column * width + row : row * width + column] as number;
    }
  }
  return { width: columns, height: rows, values: turned };
}

/** Return the columns and rows of a plane from `left`, `top` on; the same plane if that is all of it. */
export function crop(plane: Plane, left: number, top: number, width: number, height: number): Plane {
  if (width === plane.width && height === plane.height) return plane;
  const values = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const start = (top + y) * plane.width + left;
    values.set(plane.values.subarray(start, start + width), y * width);
  }
  return { width, height, values };
}

/** Return a plane with rows and columns exchanged. */
export function transpose(plane: Plane): Plane {
  return makeUpright(plane, { swap: true });
}

/** Return a plane turned counterclockwise by quarter turns, as `numpy.rot90`. */
export function rotateQuarters(plane: Plane, turns: number): Plane {
  if (turns === 1) return makeUpright(plane, { swap: true, reverseRows: true });
  if (turns === 2) return makeUpright(plane, { reverseRows: true, reverseColumns: true });
  if (turns === 3) return makeUpright(plane, { swap: true, reverseColumns: true });
  return plane;
}

/** Return the grey of a colour: the luma of Rec. 601 in 16-bit fixed point (pneumoscope.imaging.plane.luma). */
export function luma(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >>> 16;
}

/** Refuse an image by the size that its header declares. */
export function checkSize(width: number, height: number, limit: number): void {
  if (width < 1 || height < 1) throw new FileProblem("damaged", "its header declares no pixels");
  if (width * height > limit)
    throw new FileProblem("too-many-pixels", "it has too many pixels", { pixels: width * height, limit });
}
