// The keyboard: the table of shortcuts (also shown in the help), and the arrow keys in the viewport.
import { isTyping } from "../../components/focus";
import { type Key, t } from "../../i18n";
import type { Command } from "../study/open-study";
import * as act from "./actions";
import { clamp, type Point, panBy } from "./geometry";
import { describeWindow } from "./image-facts";
import { addPoint, isEmpty, type MeasureKind } from "./measurements";
import { announceMeasurement, measuringTool } from "./measuring";
import type { Pane } from "./pane";
import { beginStroke, extendStroke } from "./strokes";
import { brushRadius, currentPane, type ViewerStore } from "./viewer-store";
import { dragWindow } from "./window";

interface Shortcut {
  key: string;
  label: Key;
  act(store: ViewerStore): void;
}

/** Return the action of a key that the panel or the page answers. */
function command(name: Command): (store: ViewerStore) => void {
  return (store) => store.open.commands.get(name)?.();
}

/** Shortcuts of one character. They are off while the user types, and can be switched off (WCAG 2.2, 2.1.4). */
export const SHORTCUTS: readonly Shortcut[] = [
  { key: "w", label: "view.tool.window", act: (store) => act.pickTool(store, "window") },
  { key: "p", label: "view.tool.pan", act: (store) => act.pickTool(store, "pan") },
  { key: "z", label: "view.tool.zoom", act: (store) => act.pickTool(store, "zoom") },
  { key: "l", label: "view.tool.length", act: (store) => act.pickTool(store, "length") },
  { key: "g", label: "view.tool.angle", act: (store) => act.pickTool(store, "angle") },
  { key: "t", label: "view.tool.ratio", act: (store) => act.pickTool(store, "ratio") },
  { key: "x", label: "view.length.clear", act: act.clearMeasurements },
  { key: "d", label: "view.window.full", act: act.showFullRange },
  { key: "a", label: "view.window.auto", act: act.showLungContrast },
  { key: "i", label: "view.invert", act: act.invert },
  { key: "r", label: "view.rotate", act: (store) => act.rotate(store, 90) },
  { key: "R", label: "view.rotate.back", act: (store) => act.rotate(store, 270) },
  { key: "+", label: "view.zoom.in", act: (store) => act.zoomTo(store, 1.25) },
  { key: "-", label: "view.zoom.out", act: (store) => act.zoomTo(store, 0.8) },
  { key: "1", label: "view.zoom.actual", act: act.zoomToPixels },
  { key: "0", label: "view.reset", act: act.resetPane },
  { key: "v", label: "view.prior.toggle", act: act.togglePrior },
  { key: "f", label: "view.full", act: (store) => toggle(store.fullScreen) },
  { key: "u", label: "view.undo", act: act.undo },
  { key: "b", label: "view.window.bright", act: act.showBrightContrast },
  { key: "m", label: "view.tool.magnify", act: (store) => act.pickTool(store, "magnify") },
  { key: "c", label: "view.linked", act: act.toggleLinked },
  { key: "h", label: "view.heat.toggle", act: command("heatmap") },
  { key: "n", label: "work.next-unread", act: command("next") },
  { key: "s", label: "read.save", act: command("save") },
  { key: "k", label: "view.lock", act: command("lock") },
  { key: "?", label: "view.help", act: (store) => toggle(store.helpOpen) },
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

/** Act on a key of the page. */
export function onShortcut(event: KeyboardEvent, store: ViewerStore, on: boolean): void {
  if (event.target instanceof Element && event.target.closest("dialog")) return;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "Escape") {
    onEscape(event, store);
    return;
  }
  const shortcut = on && SHORTCUTS.find(({ key }) => key === event.key);
  if (!shortcut) return;
  event.preventDefault();
  shortcut.act(store);
}

function onEscape(event: KeyboardEvent, store: ViewerStore): void {
  if (store.open.brush.value !== null) act.stopPainting(store);
  else if (act.dropBegun(store)) store.announcement.value = t("view.length.dropped");
  else if (store.fullScreen.value) store.fullScreen.value = false;
  else return;
  event.preventDefault();
}

/** Act on a key within the viewport. */
export function onViewportKey(event: KeyboardEvent, store: ViewerStore, pane: Pane): void {
  if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
  const painting = store.open.brush.value !== null && pane === currentPane(store);
  const kind = painting ? null : measuringTool(store, pane);
  const measuring = kind !== null;
  const arrow = ARROWS[event.key];
  if (arrow) {
    event.preventDefault();
    if (painting || measuring) moveCursor(store, pane, arrow, painting && event.shiftKey);
    else if (event.shiftKey) {
      const bits = pane.pixels.value?.bits ?? 8;
      pane.window.value = dragWindow(pane.window.value, [STEP * arrow[0], STEP * arrow[1]], bits);
      store.announcement.value = describeWindow(pane);
    } else if (pane.view.value) {
      pane.view.value = panBy(pane.view.value, pane.frame, [-2 * STEP * arrow[0], -2 * STEP * arrow[1]]);
    }
  } else if (event.key === " " && (painting || measuring)) {
    event.preventDefault();
    pane.cursor.value ??= act.centreOf(pane);
    if (painting) {
      beginStroke(store, pane, pane.cursor.value);
      store.announcement.value = t("view.brush.count", { count: store.open.strokes.value.length });
    } else if (kind) measure(store, pane, kind, pane.cursor.value);
  }
}

/** Move the cursor by a brush's half or by ten screen pixels, in the directions of the screen. */
function moveCursor(store: ViewerStore, pane: Pane, arrow: Point, paint: boolean): void {
  const from = pane.cursor.value ?? act.centreOf(pane);
  const { view, affine } = { view: pane.view.value, affine: pane.affine.value };
  if (!view || !affine) return;
  const step = store.open.brush.value === null ? 10 / Math.hypot(affine[0], affine[1]) : brushRadius(store, pane) / 2;
  const quarter = view.turn / 90;
  const [dx, dy] = [arrow, [arrow[1], -arrow[0]], [-arrow[0], -arrow[1]], [-arrow[1], arrow[0]]][quarter] as Point;
  const to: Point = [clamp(from[0] + step * dx, 0, pane.frame.width), clamp(from[1] + step * dy, 0, pane.frame.height)];
  pane.cursor.value = to;
  if (!paint) return;
  if (store.open.strokes.value.length === 0) beginStroke(store, pane, from);
  extendStroke(store, to);
}

/** Set the next point of a measurement. */
function measure(store: ViewerStore, pane: Pane, kind: MeasureKind, point: Point): void {
  const list = addPoint(pane.measurements.value, kind, point);
  const last = list.at(-1);
  if (last && isEmpty(last)) return; // the cursor has not moved since the point before
  pane.measurements.value = list;
  announceMeasurement(store, pane);
}
