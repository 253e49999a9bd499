// How much of a picture has a colour, as pneumoscope.imaging.colour measures it.
import type { Facts } from "./picture";
import { shrinkBytes } from "./resample";
import rules from "./rules.json";

const { cells, coloured } = rules.colour;

/** Return the share of an 8-bit picture that has a colour as a fact; nothing where it has none. */
export function measureColour(
  channels: [ArrayLike<number>, ArrayLike<number>, ArrayLike<number>],
  width: number,
  height: number,
): Facts {
  const small = channels.map((values) => shrinkBytes(values, width, height, cells)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  return countColoured(small);
}

function countColoured([red, green, blue]: [Uint8Array, Uint8Array, Uint8Array]): Facts {
  let count = 0;
  for (let k = 0; k < red.length; k++) {
    const [r, g, b] = [red[k] as number, green[k] as number, blue[k] as number];
    if (Math.max(r, g, b) - Math.min(r, g, b) > coloured) count++;
  }
  const share = count / red.length;
  return count ? { colour_share: Math.round(share * 1e4) / 1e4 } : {};
}

/**
 * Return the same for a picture with alpha: Pillow multiplies the colours by alpha before it makes it smaller, and
 * divides afterwards.
 */
export function measureColourWithAlpha(
  channels: [ArrayLike<number>, ArrayLike<number>, ArrayLike<number>],
  alpha: ArrayLike<number>,
  width: number,
  height: number,
): Facts {
  const size = width * height;
  const opacity = shrinkBytes(alpha, width, height, cells);
  const small = channels.map((values) => {
    const multiplied = new Uint8Array(size);
    for (let k = 0; k < size; k++) {
      const product = (values[k] as number) * (alpha[k] as number) + 128;
      multiplied[k] = ((product >> 8) + product) >> 8;
    }
    return shrinkBytes(multiplied, width, height, cells).map((value, k) => {
      const a = opacity[k] as number;
      return a === 255 || a === 0 ? value : Math.min(255, Math.floor((255 * value) / a));
    });
  }) as [Uint8Array, Uint8Array, Uint8Array];
  return countColoured(small);
}
