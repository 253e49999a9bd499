// The bars that come with what is laid over an image: the heatmap's legend and opacity, the brush's size.
import { number, t, word } from "../../i18n";
import { stopPainting, undo } from "./actions";
import { GRADIENT } from "./colour-map";
import type { Pane } from "./pane";
import { current, type Room, radiusOf } from "./viewer-store";

export function HeatBar({ room }: { room: Room }) {
  const { overlay } = room.open;
  if (!overlay.value) return null;
  const { label, opacity } = overlay.value;
  const set = (value: number) => {
    if (overlay.value) overlay.value = { ...overlay.value, opacity: value };
  };
  return (
    <section class="view-bar-row" aria-label={t("view.heat")}>
      <strong>{t("view.heat.of", { label: word("label", label) })}</strong>
      <label>
        {t("view.heat.opacity")}
        <input
          type="range"
          min="0"
          max="1"
          step="0.05"
          value={opacity}
          onInput={(event) => set(Number(event.currentTarget.value))}
          aria-valuetext={t("view.percent", { percent: number(100 * opacity, 0) })}
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

/** While somebody paints, and as long as something is painted: hatching without words would puzzle. */
export function BrushBar({ room }: { room: Room }) {
  const { brush, strokes, meaning } = room.open;
  const pane = current(room);
  const none = strokes.value.length === 0;
  if (!pane || (brush.value === null && none)) return null;
  const mode = meaning.value;
  const clear = () => {
    strokes.value = [];
    room.said.value = t("view.brush.count", { count: 0 });
  };
  return (
    <section class="view-bar-row" aria-label={t("view.brush")}>
      <strong class="view-swatch" data-mode={mode}>
        {t(mode === "exclude" ? "view.brush.exclude" : "view.brush.include")}
      </strong>
      {brush.value !== null && <Size room={room} pane={pane} />}
      <span class="view-buttons">
        <button type="button" disabled={none} onClick={() => undo(room)}>
          {t("view.brush.undo")}
        </button>
        <button type="button" disabled={none} onClick={clear}>
          {t("view.brush.clear")}
        </button>
        {brush.value !== null && (
          <button type="button" onClick={() => stopPainting(room)}>
            {t("view.brush.done")}
          </button>
        )}
      </span>
    </section>
  );
}

function Size({ room, pane }: { room: Room; pane: Pane }) {
  const radius = radiusOf(room, pane);
  const largest = Math.max(8, Math.round(Math.min(pane.frame.width, pane.frame.height) / 3));
  const words = t("view.brush.pixels", { radius });
  return (
    <label>
      {t("view.brush.size")}
      <input
        type="range"
        min="1"
        max={largest}
        step="1"
        value={radius}
        aria-valuetext={words}
        onInput={(event) => {
          room.radius.value = Number(event.currentTarget.value);
        }}
      />
      <output>{words}</output>
    </label>
  );
}
