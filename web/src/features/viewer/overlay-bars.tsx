// The bars for overlays: the heatmap's legend and opacity, the brush's size.
import { formatNumber, labelName, t } from "../../i18n";
import { stopPainting, undoStroke } from "./actions";
import { GRADIENT } from "./colour-map";
import type { Pane } from "./pane";
import { brushRadius, currentPane, type ViewerStore } from "./viewer-store";

export function HeatmapBar({ store }: { store: ViewerStore }) {
  const { overlay } = store.open;
  if (!overlay.value) return null;
  const { label, opacity } = overlay.value;
  const set = (value: number) => {
    if (overlay.value) overlay.value = { ...overlay.value, opacity: value };
  };
  return (
    <section class="view-bar-row" aria-label={t("view.heat")}>
      <strong>{t("view.heat.of", { label: labelName(label) })}</strong>
      <label>
        {t("view.heat.opacity")}
        <input
          type="range"
          min="0"
          max="1"
          step="0.05"
          value={opacity}
          onInput={(event) => set(Number(event.currentTarget.value))}
          aria-valuetext={t("view.percent", { percent: formatNumber(100 * opacity, 0) })}
        />
      </label>
      <span class="view-legend">
        <span>0</span>
        <span class="view-gradient" style={{ background: GRADIENT }} role="img" aria-label={t("view.heat.legend")} />
        <span>1</span>
      </span>
    </section>
  );
}

/** Shown while the reader paints and while the image has strokes, because hatching needs an explanation. */
export function BrushBar({ store }: { store: ViewerStore }) {
  const { brush, strokes, brushMode } = store.open;
  const pane = currentPane(store);
  const empty = strokes.value.length === 0;
  if (!pane || (brush.value === null && empty)) return null;
  const mode = brushMode.value;
  const clear = () => {
    strokes.value = [];
    store.announcement.value = t("view.brush.count", { count: 0 });
  };
  return (
    <section class="view-bar-row" aria-label={t("view.brush")}>
      <strong class="view-swatch" data-mode={mode}>
        {t(mode === "exclude" ? "view.brush.exclude" : "view.brush.include")}
      </strong>
      {brush.value !== null && <BrushSize store={store} pane={pane} />}
      <span class="view-buttons">
        <button type="button" disabled={empty} onClick={() => undoStroke(store)}>
          {t("view.brush.undo")}
        </button>
        <button type="button" disabled={empty} onClick={clear}>
          {t("view.brush.clear")}
        </button>
        {brush.value !== null && (
          <button type="button" onClick={() => stopPainting(store)}>
            {t("view.brush.done")}
          </button>
        )}
      </span>
    </section>
  );
}

function BrushSize({ store, pane }: { store: ViewerStore; pane: Pane }) {
  const radius = brushRadius(store, pane);
  const largest = Math.max(8, Math.round(Math.min(pane.frame.width, pane.frame.height) / 3));
  const sizeText = t("view.brush.pixels", { radius });
  return (
    <label>
      {t("view.brush.size")}
      <input
        type="range"
        min="1"
        max={largest}
        step="1"
        value={radius}
        aria-valuetext={sizeText}
        onInput={(event) => {
          store.radius.value = Number(event.currentTarget.value);
        }}
      />
      <output>{sizeText}</output>
    </label>
  );
}
