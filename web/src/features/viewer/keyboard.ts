// The keyboard: one table of shortcuts, for the help and for the hand, and the arrows within the viewport.
import { type Key, t } from "../../i18n";
import * as act from "./actions";
import { clamp, type Point, panBy } from "./geometry";
import { windowWords } from "./image-facts";
import { lengthWords } from "./layers";
import type { Pane } from "./pane";
import { addTo, begin } from "./strokes";
import { current, type Room, radiusOf } from "./viewer-store";
import { dragged } from "./window";

export interface Shortcut {
  key: string;
  does: Key;
  act(room: Room): void;
}

/** Of single characters, which work unless somebody types (and can be switched off: WCAG 2.2, 2.1.4). */
export const SHORTCUTS: readonly Shortcut[] = [
  { key: "w", does: "view.tool.window", act: (room) => act.pickTool(room, "window") },
  { key: "p", does: "view.tool.pan", act: (room) => act.pickTool(room, "pan") },
  { key: "z", does: "view.tool.zoom", act: (room) => act.pickTool(room, "zoom") },
  { key: "l", does: "view.tool.length", act: (room) => act.pickTool(room, "length") },
  { key: "x", does: "view.length.clear", act: act.clearLines },
  { key: "d", does: "view.window.full", act: act.full },
  { key: "a", does: "view.window.auto", act: act.lungs },
  { key: "i", does: "view.invert", act: act.invert },
  { key: "r", does: "view.rotate", act: (room) => act.rotate(room, 90) },
  { key: "R", does: "view.rotate.back", act: (room) => act.rotate(room, 270) },
  { key: "+", does: "view.zoom.in", act: (room) => act.zoomTo(room, 1.25) },
  { key: "-", does: "view.zoom.out", act: (room) => act.zoomTo(room, 0.8) },
  { key: "1", does: "view.zoom.actual", act: act.actual },
  { key: "0", does: "view.reset", act: act.resetPane },
  { key: "v", does: "view.prior.toggle", act: act.togglePrior },
  { key: "f", does: "view.full", act: (room) => toggle(room.full) },
  { key: "u", does: "view.brush.undo", act: act.undo },
  { key: "?", does: "view.help", act: (room) => toggle(room.help) },
];

/** What the arrows and the space bar do while the viewport has the focus. */
export const IN_VIEWPORT: readonly (readonly [keys: string, does: Key])[] = [
  ["← ↑ → ↓", "view.keys.pan"],
  ["Shift + ← ↑ → ↓", "view.keys.window"],
  ["← ↑ → ↓", "view.keys.cursor"],
  ["Space", "view.keys.space"],
  ["Shift + ← ↑ → ↓", "view.keys.stroke"],
  ["Esc", "view.keys.escape"],
];
const ARROWS: Record<string, Point> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 24;

const toggle = (signal: { value: boolean }) => {
  signal.value = !signal.value;
};
const typing = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches("input:not([type=range]), textarea, select"));

/** Act on a key of the page. */
export function onShortcut(event: KeyboardEvent, room: Room, on: boolean): void {
  if (event.target instanceof Element && event.target.closest("dialog")) return;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "Escape") {
    leave(event, room);
    return;
  }
  const shortcut = on && SHORTCUTS.find(({ key }) => key === event.key);
  if (!shortcut) return;
  event.preventDefault();
  shortcut.act(room);
}

function leave(event: KeyboardEvent, room: Room): void {
  if (room.open.brush.value !== null) act.stopPainting(room);
  else if (room.full.value) room.full.value = false;
  else return;
  event.preventDefault();
}

/** Act on a key within the viewport. */
export function onArrows(event: KeyboardEvent, room: Room, pane: Pane): void {
  if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
  const painting = room.open.brush.value !== null && pane === current(room);
  const measuring = !painting && room.tool.value === "length" && pane.ruler !== null;
  const arrow = ARROWS[event.key];
  if (arrow) {
    event.preventDefault();
    if (painting || measuring) moveCursor(room, pane, arrow, painting && event.shiftKey);
    else if (event.shiftKey) {
      const bits = pane.pixels.value?.bits ?? 8;
      pane.window.value = dragged(pane.window.value, [STEP * arrow[0], STEP * arrow[1]], bits);
      room.said.value = windowWords(pane);
    } else if (pane.view.value) {
      pane.view.value = panBy(pane.view.value, pane.frame, [-2 * STEP * arrow[0], -2 * STEP * arrow[1]]);
    }
  } else if (event.key === " " && (painting || measuring)) {
    event.preventDefault();
    pane.cursor.value ??= act.middle(pane);
    if (painting) {
      begin(room, pane, pane.cursor.value);
      room.said.value = t("view.brush.count", { count: room.open.strokes.value.length });
    } else measure(room, pane, pane.cursor.value);
  }
}

/** Move the cursor by a brush's half or by ten screen pixels, in the directions of the screen. */
function moveCursor(room: Room, pane: Pane, arrow: Point, paint: boolean): void {
  const from = pane.cursor.value ?? act.middle(pane);
  const { view, affine } = { view: pane.view.value, affine: pane.affine.value };
  if (!view || !affine) return;
  const step = room.open.brush.value === null ? 10 / Math.hypot(affine[0], affine[1]) : radiusOf(room, pane) / 2;
  const quarter = view.turn / 90;
  const [dx, dy] = [arrow, [arrow[1], -arrow[0]], [-arrow[0], -arrow[1]], [-arrow[1], arrow[0]]][quarter] as Point;
  const to: Point = [clamp(from[0] + step * dx, 0, pane.frame.width), clamp(from[1] + step * dy, 0, pane.frame.height)];
  pane.cursor.value = to;
  if (!paint) return;
  if (room.open.strokes.value.length === 0) begin(room, pane, from);
  addTo(room, to);
}

/** Take one end of a length: the first begins a line, the second ends it. */
function measure(room: Room, pane: Pane, point: Point): void {
  const begun = pane.begun.value;
  pane.begun.value = begun ? null : point;
  if (!begun) {
    room.said.value = t("view.length.begun");
    return;
  }
  const line = [begun, point] as const;
  pane.lines.value = [...pane.lines.value, line];
  room.said.value = lengthWords(pane, line);
}
