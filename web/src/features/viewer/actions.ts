// The actions of the toolbar's buttons and of the shortcuts.
import { formatNumber, type Key, t } from "../../i18n";
import { fitView, type Point, turnBy, viewToAffine } from "./geometry";
import { dropUnfinished, proposeRatio } from "./measurements";
import { formatMeasurement } from "./measuring";
import { isFitted, type Pane, resetView, screenZoom } from "./pane";
import { removeLastStroke } from "./strokes";
import { activePane, currentPane, type ViewerStore, zoomBy } from "./viewer-store";
import { brightContrast, fullRange, lungContrast, type Window } from "./window";

export type SelectableTool = ViewerStore["tool"]["value"];
const TOOLS: Record<SelectableTool, Key> = {
  window: "view.tool.window",
  pan: "view.tool.pan",
  zoom: "view.tool.zoom",
  length: "view.tool.length",
  angle: "view.tool.angle",
  ratio: "view.tool.ratio",
  magnify: "view.tool.magnify",
};

export function pickTool(store: ViewerStore, tool: SelectableTool): void {
  if (tool === "length" && !activePane(store)?.ruler) {
    store.announcement.value = t("view.ruler.none");
    return;
  }
  store.tool.value = tool;
  dropBegun(store);
  store.announcement.value = t(TOOLS[tool]);
  if (tool === "ratio") addProposedRatio(store);
}

/** Drop what is being measured; return whether there was something. */
export function dropBegun(store: ViewerStore): boolean {
  let dropped = false;
  for (const pane of [currentPane(store), store.prior.value]) {
    if (!pane) continue;
    const whole = dropUnfinished(pane.measurements.value);
    dropped ||= whole.length < pane.measurements.value.length;
    pane.cursor.value = null;
    pane.measurements.value = whole;
  }
  return dropped;
}

/** Add the ratio that an answer's outlines propose, where none is drawn yet; its ends can be moved. */
function addProposedRatio(store: ViewerStore): void {
  const pane = activePane(store);
  if (!pane || pane.prior || pane.measurements.value.some(({ kind }) => kind === "ratio")) return;
  const answers = store.open.predictions.value.filter(
    ({ image, model_off, result }) => image === pane.image.id && !model_off && !result?.refused,
  );
  const widths = answers.map(({ result }) => result?.cardiothoracic).findLast((one) => one);
  if (!widths) return;
  const proposed = proposeRatio(widths, pane.frame);
  pane.measurements.value = [...pane.measurements.value, proposed];
  store.announcement.value = formatMeasurement(pane, proposed);
}

function showWindow(store: ViewerStore, window: Window, key: Key): void {
  const pane = activePane(store);
  if (!pane) return;
  pane.window.value = window;
  store.announcement.value = t(key);
}

export function showFullRange(store: ViewerStore): void {
  const bits = activePane(store)?.pixels.value?.bits;
  if (bits) showWindow(store, fullRange(bits), "view.window.full");
}

export function showLungContrast(store: ViewerStore): void {
  const pixels = activePane(store)?.pixels.value;
  if (pixels) showWindow(store, lungContrast(pixels), "view.window.auto");
}

export function showBrightContrast(store: ViewerStore): void {
  const pixels = activePane(store)?.pixels.value;
  if (pixels) showWindow(store, brightContrast(pixels), "view.window.bright");
}

export function invert(store: ViewerStore): void {
  const pane = activePane(store);
  if (!pane) return;
  pane.invert.value = !pane.invert.value;
  store.announcement.value = t(pane.invert.value ? "view.inverted" : "view.inverted.not");
}

export function rotate(store: ViewerStore, degrees: 90 | 270): void {
  const pane = activePane(store);
  if (!pane?.view.value) return;
  const rotated = turnBy(pane.view.value, degrees);
  pane.view.value = isFitted(pane) ? fitView(pane.frame, pane.box.value, rotated.turn) : rotated;
  store.announcement.value = t("view.turned", { degrees: rotated.turn });
}

export function zoomTo(store: ViewerStore, factor: number): void {
  const pane = activePane(store);
  if (!pane) return;
  zoomBy(pane, factor);
  announceZoom(store, pane);
}

/** One pixel of the image is one of the screen. */
export function zoomToPixels(store: ViewerStore): void {
  const pane = activePane(store);
  if (!pane || screenZoom(pane) === 0) return;
  zoomBy(pane, 1 / screenZoom(pane));
  announceZoom(store, pane);
}

export function resetPane(store: ViewerStore): void {
  const pane = activePane(store);
  if (!pane?.view.value) return;
  resetView(pane);
  store.announcement.value = t("view.reset.done");
}

export function clearMeasurements(store: ViewerStore): void {
  const pane = activePane(store);
  if (!pane) return;
  pane.measurements.value = [];
  store.announcement.value = t("view.length.cleared");
}

/** Take back the last stroke while there are strokes, else the last measurement. */
export function undo(store: ViewerStore): void {
  const pane = activePane(store);
  if (store.open.strokes.value.length > 0 || !pane) undoStroke(store);
  else {
    pane.measurements.value = pane.measurements.value.slice(0, -1);
    store.announcement.value = t("view.length.left", { count: pane.measurements.value.length });
  }
}

/** Link the two panes in window, zoom and place, or let each go its own way. */
export function toggleLinked(store: ViewerStore): void {
  store.linked.value = !store.linked.value;
  store.announcement.value = t(store.linked.value ? "view.linked.on" : "view.linked.off");
}

export function undoStroke(store: ViewerStore): void {
  removeLastStroke(store);
  store.announcement.value = t("view.brush.count", { count: store.open.strokes.value.length });
}

export function stopPainting(store: ViewerStore): void {
  store.open.brush.value = null;
  const pane = currentPane(store);
  if (pane) pane.cursor.value = null;
  store.announcement.value = t("view.brush.ended");
}

/** Show the newest other study beside the image, or hide what is beside it. */
export function togglePrior(store: ViewerStore): void {
  const study = store.others.value?.[0];
  const image = study?.images[0];
  if (store.prior.value) {
    store.prior.value = null;
    store.onPrior.value = false;
    store.announcement.value = t("view.prior.hidden");
  } else if (study && image) {
    store.prior.value = store.pane(image, study, true);
    store.onPrior.value = true;
    store.announcement.value = t("view.prior.shown");
  } else store.announcement.value = t("view.prior.none");
}

/** The point of the image in the middle of the viewport: where the keyboard's cursor starts. */
export function centreOf(pane: Pane): Point {
  return pane.view.value?.centre ?? [pane.frame.width / 2, pane.frame.height / 2];
}

function announceZoom(store: ViewerStore, pane: Pane): void {
  const view = pane.view.value;
  if (!view) return;
  const [a, b] = viewToAffine(view, pane.frame, pane.box.value);
  const percent = 100 * Math.hypot(a, b) * (globalThis.devicePixelRatio || 1);
  store.announcement.value = t("view.zoom.value", { percent: formatNumber(percent, 0) });
}
