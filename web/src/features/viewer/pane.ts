// The state of one radiograph in the viewer: its facts and its view. It lasts while the study is open, so that an image
// reappears as the reader left it.
import { type Signal, signal } from "@preact/signals";
import type { Refusal } from "../../api/client";
import { openDraft } from "../../api/drafts";
import type { Image, Study } from "../../api/types";
import { type Affine, type Box, type Frame, fitView, type Point, type View, viewToAffine } from "./geometry";
import { dropUnfinished, type Measurement } from "./measurements";
import type { Pixels } from "./pixels";
import { fullRange, type Window } from "./window";

/** What lengths refer to: the patient, the detector (where the chest is magnified), or nothing. */
type Ruler = "patient" | "detector" | null;

export interface Pane {
  image: Image;
  study: Study;
  /** Whether the image is of another study of the patient. */
  prior: boolean;
  frame: Frame;
  ruler: Ruler;
  pixels: Signal<Pixels | null>;
  /** Why it can't be shown. */
  problem: Signal<Refusal | null>;
  box: Signal<Box>;
  /** Null until the image is there. */
  view: Signal<View | null>;
  /** The viewport's map from image coordinates to the screen. */
  affine: Signal<Affine | null>;
  window: Signal<Window>;
  invert: Signal<boolean>;
  measurements: Signal<Measurement[]>;
  /** The pointer's place in the viewport; null while it is elsewhere. */
  pointer: Signal<Point | null>;
  /** The keyboard's position in the image while it paints or measures. */
  cursor: Signal<Point | null>;
}

export function createPane(image: Image, study: Study, prior: boolean): Pane {
  const { facts } = image;
  const { pixel_spacing_row: row, pixel_spacing_col: column, pixel_spacing_kind: kind } = facts;
  const hasSpacing = row !== undefined && column !== undefined && row > 0 && column > 0 && kind !== undefined;
  const shape = hasSpacing ? { row, column } : pixelShape(facts);
  return {
    image,
    study,
    prior,
    frame: { width: image.width, height: image.height, ...shape },
    ruler: hasSpacing ? kind : null,
    pixels: signal(null),
    problem: signal(null),
    box: signal({ width: 0, height: 0 }),
    view: signal(null),
    affine: signal(null),
    window: signal(fullRange(8)), // until the pixels are there: the server stores in 8 bits what 8 bits can hold
    invert: signal(false),
    measurements: openMeasurements(image.id),
    pointer: signal(null),
    cursor: signal(null),
  };
}

/** Return an image's measurements, which stay until the user logs out; one that was not finished is dropped. */
function openMeasurements(image: string): Signal<Measurement[]> {
  const draft = openDraft<Measurement[]>(`measurements/${image}`, []);
  draft.value = dropUnfinished(draft.value);
  return draft;
}

/** Return the shape of a pixel, 1 wide: its PixelAspectRatio (PS3.3 C.7.6.3.1.7), where no mm are known. */
function pixelShape(facts: Image["facts"]): { row: number; column: number } {
  const { pixel_aspect_row: height, pixel_aspect_col: width } = facts;
  const isKnown = height !== undefined && width !== undefined && height > 0 && width > 0;
  return { row: isKnown ? height / width : 1, column: 1 };
}

/** Show the whole image upright with its full range of values. */
export function resetView(pane: Pane): void {
  pane.view.value = fitView(pane.frame, pane.box.value, 0);
  pane.window.value = fullRange(pane.pixels.value?.bits ?? 8);
  pane.invert.value = false;
}

/** Return whether the image is shown as large as it fits, so that it should keep fitting when the viewport changes. */
export function isFitted(pane: Pane): boolean {
  const view = pane.view.value;
  if (!view) return true;
  const fitted = fitView(pane.frame, pane.box.value, view.turn);
  const [currentMap, fittedMap] = [
    viewToAffine(view, pane.frame, pane.box.value),
    viewToAffine(fitted, pane.frame, pane.box.value),
  ];
  return currentMap.every((value, i) => Math.abs(value - (fittedMap[i] as number)) < 0.5);
}

/** Return the device pixels of the screen per image pixel. */
export function screenZoom(pane: Pane): number {
  const affine = pane.affine.value;
  return affine ? Math.hypot(affine[0], affine[1]) * (globalThis.devicePixelRatio || 1) : 0;
}
