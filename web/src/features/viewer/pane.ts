// One radiograph in the viewer: what is known of it and how it is looked at. Kept while the study is open, so that an image
// comes back as it was left.
import { type Signal, signal } from "@preact/signals";
import type { Refusal } from "../../api/client";
import type { Image, Study } from "../../api/types";
import { type Affine, affineOf, type Box, type Frame, type Point, type View, whole } from "./geometry";
import type { Pixels } from "./pixels";
import { fullRange, type Window } from "./window";

export type Line = readonly [Point, Point];
/** Where lengths hold: in the patient, at the detector (where the chest is magnified), or nowhere. */
export type Ruler = "patient" | "detector" | null;

export interface Pane {
  image: Image;
  study: Study;
  /** Of an earlier or other study of the patient. */
  prior: boolean;
  frame: Frame;
  ruler: Ruler;
  pixels: Signal<Pixels | null>;
  /** Why it can't be shown. */
  problem: Signal<Refusal | null>;
  box: Signal<Box>;
  /** Null until the image is there. */
  view: Signal<View | null>;
  /** Image coordinates to the screen, as the viewport says. */
  affine: Signal<Affine | null>;
  window: Signal<Window>;
  invert: Signal<boolean>;
  lines: Signal<Line[]>;
  /** One end of a length that the keyboard has begun. */
  begun: Signal<Point | null>;
  /** The keyboard's place in the image, while it paints or measures. */
  cursor: Signal<Point | null>;
}

export function paneOf(image: Image, study: Study, prior: boolean): Pane {
  const { pixel_spacing_row: row, pixel_spacing_col: column, pixel_spacing_kind: kind } = image.facts;
  const spaced = row !== undefined && column !== undefined && row > 0 && column > 0 && kind !== undefined;
  return {
    image,
    study,
    prior,
    frame: { width: image.width, height: image.height, column: spaced ? column : 1, row: spaced ? row : 1 },
    ruler: spaced ? kind : null,
    pixels: signal(null),
    problem: signal(null),
    box: signal({ width: 0, height: 0 }),
    view: signal(null),
    affine: signal(null),
    window: signal(fullRange(8)), // until the pixels are there: the server stores in 8 bits what 8 bits can hold
    invert: signal(false),
    lines: signal([]),
    begun: signal(null),
    cursor: signal(null),
  };
}

/** Show the whole image upright, as its file means it. */
export function reset(pane: Pane): void {
  pane.view.value = whole(pane.frame, pane.box.value, 0);
  pane.window.value = fullRange(pane.pixels.value?.bits ?? 8);
  pane.invert.value = false;
}

/** Return whether the image is shown as large as it fits, so that it should keep fitting when the viewport changes. */
export function fits(pane: Pane): boolean {
  const view = pane.view.value;
  if (!view) return true;
  const most = whole(pane.frame, pane.box.value, view.turn);
  const [now, then] = [affineOf(view, pane.frame, pane.box.value), affineOf(most, pane.frame, pane.box.value)];
  return now.every((value, i) => Math.abs(value - (then[i] as number)) < 0.5);
}

/** Return screen pixels (of the device) an image pixel. */
export function zoom(pane: Pane): number {
  const affine = pane.affine.value;
  return affine ? Math.hypot(affine[0], affine[1]) * (globalThis.devicePixelRatio || 1) : 0;
}
