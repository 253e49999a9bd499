// The magnifier: a round lens at the pointer that shows the stored pixels larger, with the window of the image. The
// probe: the position and the stored value of the pixel under the pointer.
import { useEffect, useRef } from "preact/hooks";
import { formatNumber, t } from "../../i18n";
import { type Affine, apply, invertAffine, type Point } from "./geometry";
import type { Pane } from "./pane";
import type { Pixels } from "./pixels";
import type { Window } from "./window";
import { toFileLevel } from "./window";

/** Side of the lens in CSS pixels, and how much larger it shows the image than the screen. */
const SIDE = 180;
const FACTOR = 2.5;

/** Return the stored value of the pixel at a point of the image; null outside it. */
export function probePixel({ width, height, values }: Pixels, [x, y]: Point): number | null {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= width || row >= height) return null;
  return values[row * width + column] ?? null;
}

/** Return a stored value as a grey of the screen, 0..255. */
export function toGrey(value: number, { lower, upper }: Window, inverted: boolean): number {
  const grey = Math.min(255, Math.max(0, (255 * (value - lower)) / Math.max(1, upper - lower)));
  return Math.round(inverted ? 255 - grey : grey);
}

/** Return what the probe says about the pixel under the pointer; empty where there is none. */
export function describeProbe(pane: Pane): string {
  const [pointer, affine, pixels] = [pane.pointer.value, pane.affine.value, pane.pixels.value];
  if (!pointer || !affine || !pixels) return "";
  const [x, y] = apply(invertAffine(affine), pointer);
  const value = probePixel(pixels, [x, y]);
  if (value === null) return "";
  return t("view.probe", {
    x: Math.floor(x),
    y: Math.floor(y),
    value: formatNumber(toFileLevel(value, pixels.bits, pane.image.bits), 0),
  });
}

export function Magnifier({ pane }: { pane: Pane }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pointer, affine, pixels] = [pane.pointer.value, pane.affine.value, pane.pixels.value];
  const [window, inverted] = [pane.window.value, pane.invert.value];
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !pointer || !affine || !pixels) return;
    const picture = context.createImageData(SIDE, SIDE);
    paintLens(picture.data, pointer, affine, pixels, (value) => toGrey(value, window, inverted));
    context.putImageData(picture, 0, 0);
  }, [pointer, affine, pixels, window, inverted]);
  if (!pointer || !affine || !pixels) return null;
  const left = Math.min(Math.max(pointer[0] - SIDE / 2, 0), Math.max(0, pane.box.value.width - SIDE));
  const above = pointer[1] > SIDE + 24;
  return (
    <canvas
      class="view-lens"
      ref={canvas}
      width={SIDE}
      height={SIDE}
      style={{ left: `${left}px`, top: `${above ? pointer[1] - SIDE - 24 : pointer[1] + 24}px` }}
    />
  );
}

/** Fill a lens with the image around a point of the screen; each of its pixels takes the nearest stored value. */
function paintLens(
  data: Uint8ClampedArray,
  [x, y]: Point,
  affine: Affine,
  pixels: Pixels,
  grey: (value: number) => number,
): void {
  const inverse = invertAffine(affine);
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      const at = apply(inverse, [x + (column - SIDE / 2) / FACTOR, y + (row - SIDE / 2) / FACTOR]);
      const value = probePixel(pixels, at);
      const shade = value === null ? 0 : grey(value);
      data.set([shade, shade, shade, 255], 4 * (row * SIDE + column));
    }
  }
}
