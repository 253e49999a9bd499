// What the toolbar's buttons and the shortcuts do, each once.
import { type Key, number, t } from "../../i18n";
import { affineOf, type Point, turnBy, whole } from "./geometry";
import { fits, type Pane, reset, zoom } from "./pane";
import { dropLast } from "./strokes";
import { active, current, type Room, zoomBy } from "./viewer-store";
import { fullRange, lungContrast, type Window } from "./window";

export type Chosen = Room["tool"]["value"];
const TOOLS: Record<Chosen, Key> = {
  window: "view.tool.window",
  pan: "view.tool.pan",
  zoom: "view.tool.zoom",
  length: "view.tool.length",
};

export function pickTool(room: Room, tool: Chosen): void {
  if (tool === "length" && !active(room)?.ruler) {
    room.said.value = t("view.ruler.none");
    return;
  }
  room.tool.value = tool;
  for (const pane of [current(room), room.prior.value]) if (pane) [pane.begun.value, pane.cursor.value] = [null, null];
  room.said.value = t(TOOLS[tool]);
}

export function showWindow(room: Room, window: Window, key: Key): void {
  const pane = active(room);
  if (!pane) return;
  pane.window.value = window;
  room.said.value = t(key);
}

export function full(room: Room): void {
  const bits = active(room)?.pixels.value?.bits;
  if (bits) showWindow(room, fullRange(bits), "view.window.full");
}

export function lungs(room: Room): void {
  const pixels = active(room)?.pixels.value;
  if (pixels) showWindow(room, lungContrast(pixels), "view.window.auto");
}

export function invert(room: Room): void {
  const pane = active(room);
  if (!pane) return;
  pane.invert.value = !pane.invert.value;
  room.said.value = t(pane.invert.value ? "view.inverted" : "view.inverted.not");
}

export function rotate(room: Room, degrees: 90 | 270): void {
  const pane = active(room);
  if (!pane?.view.value) return;
  const turned = turnBy(pane.view.value, degrees);
  pane.view.value = fits(pane) ? whole(pane.frame, pane.box.value, turned.turn) : turned;
  room.said.value = t("view.turned", { degrees: turned.turn });
}

export function zoomTo(room: Room, factor: number): void {
  const pane = active(room);
  if (!pane) return;
  zoomBy(pane, factor);
  sayZoom(room, pane);
}

/** One pixel of the image is one of the screen. */
export function actual(room: Room): void {
  const pane = active(room);
  if (!pane || zoom(pane) === 0) return;
  zoomBy(pane, 1 / zoom(pane));
  sayZoom(room, pane);
}

export function resetPane(room: Room): void {
  const pane = active(room);
  if (!pane?.view.value) return;
  reset(pane);
  room.said.value = t("view.reset.done");
}

export function clearLines(room: Room): void {
  const pane = active(room);
  if (!pane) return;
  pane.lines.value = [];
  pane.begun.value = null;
  room.said.value = t("view.length.cleared");
}

export function undo(room: Room): void {
  dropLast(room);
  room.said.value = t("view.brush.count", { count: room.open.strokes.value.length });
}

export function stopPainting(room: Room): void {
  room.open.brush.value = null;
  const pane = current(room);
  if (pane) pane.cursor.value = null;
  room.said.value = t("view.brush.ended");
}

/** Show the newest other study beside the image, or hide what is beside it. */
export function togglePrior(room: Room): void {
  const study = room.others.value?.[0];
  const image = study?.images[0];
  if (room.prior.value) {
    room.prior.value = null;
    room.onPrior.value = false;
    room.said.value = t("view.prior.hidden");
  } else if (study && image) {
    room.prior.value = room.pane(image, study, true);
    room.onPrior.value = true;
    room.said.value = t("view.prior.shown");
  } else room.said.value = t("view.prior.none");
}

/** The point of the image in the middle of the viewport: where the keyboard's cursor starts. */
export function middle(pane: Pane): Point {
  return pane.view.value?.centre ?? [pane.frame.width / 2, pane.frame.height / 2];
}

export function sayZoom(room: Room, pane: Pane): void {
  const view = pane.view.value;
  if (!view) return;
  const [a, b] = affineOf(view, pane.frame, pane.box.value);
  const percent = 100 * Math.hypot(a, b) * (globalThis.devicePixelRatio || 1);
  room.said.value = t("view.zoom.value", { percent: number(percent, 0) });
}
