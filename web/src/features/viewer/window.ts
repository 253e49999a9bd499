// Window and level: which stored values appear black and white. Pure functions.
import { clamp, type Point } from "./geometry";
import type { Pixels } from "./pixels";

/** Stored values: `lower` and less is black, `upper` and more is white. */
export interface Window {
  lower: number;
  upper: number;
}

/** Percentiles shown black and white, for the lungs: they are the darker part; bone and mediastinum may saturate. */
const DARK = 0.02;
const LIGHT = 0.9;

/** Return the window of all values that the file can hold. */
export function fullRange(bits: 8 | 16): Window {
  return { lower: 0, upper: 2 ** bits - 1 };
}

/**
 * Return a stored value in the levels that the file has. The grey of a colour picture, or of a table in the file, is
 * stored in 16 bits where 8 would lose some of it; for people an image of 8 bits goes to 255.
 */
export function toFileLevel(value: number, stored: 8 | 16, file: number): number {
  return file < stored ? (value * (2 ** Math.max(8, file) - 1)) / (2 ** stored - 1) : value;
}

/** Percentiles for what lies behind the heart and for bone: the bright part. */
const BRIGHT = { lower: 0.5, upper: 0.995 };

/** Return the window for the lungs. */
export function lungContrast(pixels: Pixels): Window {
  return percentileWindow(pixels, DARK, LIGHT);
}

/** Return the window for mediastinum and bone. */
export function brightContrast(pixels: Pixels): Window {
  return percentileWindow(pixels, BRIGHT.lower, BRIGHT.upper);
}

/** Return a window by percentiles, without pure black and white (collimation, padding, saturated air). */
function percentileWindow({ values, bits }: Pixels, from: number, to: number): Window {
  const maximum = 2 ** bits - 1;
  const counts = new Uint32Array(maximum + 1);
  for (const value of values) counts[value] = (counts[value] as number) + 1;
  counts[0] = 0;
  counts[maximum] = 0;
  const exposed = counts.reduce((sum, count) => sum + count, 0);
  if (exposed === 0) return fullRange(bits);
  const at = (share: number) => {
    let below = 0;
    return counts.findIndex((count) => {
      below += count;
      return below >= share * exposed;
    });
  };
  const lower = at(from);
  return { lower, upper: Math.max(at(to), lower + 1) };
}

/** Return a window after a drag: to the right is wider (less contrast), down is a higher level (darker). */
export function dragWindow({ lower, upper }: Window, [dx, dy]: Point, bits: 8 | 16): Window {
  const maximum = 2 ** bits - 1;
  const step = maximum / 600;
  const width = clamp(upper - lower + dx * step, maximum / 255, 2 * maximum);
  const level = clamp((lower + upper) / 2 + dy * step, 0, maximum);
  return { lower: level - width / 2, upper: level + width / 2 };
}
