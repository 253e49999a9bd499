// One pane: the banner with the patient, the image with its layers, and the pointer's actions.
import { useEffect, useMemo } from "preact/hooks";
import { api, body, me } from "../../api/client";
import type { Identity } from "../../api/types";
import { t } from "../../i18n";
import { apply, invertAffine, type Point, panBy, zoomAt } from "./geometry";
import { dragZoom, type Handlers } from "./gestures";
import {
  describeExposure,
  describePane,
  describePatient,
  describeRelation,
  describeTime,
  describeView,
  isLateral,
} from "./image-facts";
import { onViewportKey } from "./keyboard";
import { HeatmapCaution, HeatmapLayer, MarkLayer, OutlineLayer } from "./layers";
import { describeProbe, Magnifier } from "./magnifier";
import {
  beginDrag,
  findGrip,
  type Grip,
  isComplete,
  isEmpty,
  isMeasureKind,
  type Measurement,
  movePoint,
} from "./measurements";
import { announceMeasurement, measuringTool } from "./measuring";
import type { Pane } from "./pane";
import { beginStroke, extendStroke, removeLastStroke } from "./strokes";
import { brushRadius, type ViewerStore } from "./viewer-store";
import { Viewport } from "./viewport";
import { dragWindow } from "./window";

/** Codes of refusals of pictures that have no left and right of one patient. */
const SIDELESS = ["lateral", "other", "several"];

/** CSS pixels within which a press takes hold of a measurement's point: a fingertip. */
const GRIP = 14;

/** Codes of warnings that the reader must weigh while looking at the image. */
const IMAGE_WARNINGS = ["mirrored", "cropped"] as const;

export function PaneView({ store, pane }: { store: ViewerStore; pane: Pane }) {
  const identity = useIdentity(store, pane.study.id);
  const [patient, time] = [describePatient(pane, identity), describeTime(pane, identity)];
  const painting = !pane.prior && store.open.brush.value !== null;
  const overlay = store.open.overlay.value;
  const imageOf = (id: string) => store.open.predictions.value.find((one) => one.id === id)?.image;
  const shownOverlay =
    overlay && !pane.prior && (imageOf(overlay.prediction) ?? pane.image.id) === pane.image.id ? overlay : null;
  const { outline } = store.open;
  const shownOutline = outline.value && imageOf(outline.value.prediction) === pane.image.id ? outline.value : null;
  const answers = store.open.predictions.value.filter((one) => one.image === pane.image.id && one.result);
  const sideless =
    isLateral(pane.image) || answers.some((one) => one.result?.codes?.some((code) => SIDELESS.includes(code)));
  const silent = !pane.prior && answers.length > 0 && answers.every((one) => one.result?.refused);
  const strokes = pane.prior ? [] : store.open.strokes.value;
  const warned = IMAGE_WARNINGS.filter(
    (code) => !pane.prior && !silent && answers.some((one) => one.result?.codes?.includes(code)),
  );
  const handlers = useMemo(() => handlersOf(store, pane), [store, pane]);
  const focus = () => {
    store.onPrior.value = pane.prior;
  };
  const both = store.prior.value !== null;
  const relation = pane.prior ? describeRelation(store, pane.study) : t("view.current");
  return (
    <article class="view-pane" data-prior={pane.prior} data-active={both && store.onPrior.value === pane.prior}>
      <header class="view-banner">
        {both && <strong class="view-which">{relation}</strong>}
        <strong>{patient}</strong>
        <span>{time}</span>
        <span class="soft">{describeExposure(pane.image).join(" · ")}</span>
      </header>
      <Viewport
        pane={pane}
        engine={store.engine.value}
        slow={store.useCpu}
        pixelsOf={store.pixels}
        label={describePane(pane, relation, patient, time)}
        active={both && store.onPrior.value === pane.prior}
        handlers={handlers}
        onFocus={focus}
        onKeyDown={(event) => onViewportKey(event, store, pane)}
      >
        {shownOverlay && <HeatmapLayer pane={pane} overlay={shownOverlay} />}
        {shownOutline && !pane.prior && <OutlineLayer pane={pane} outline={shownOutline} />}
        <div class="view-cautions">
          {silent && <p>{t("panel.silent")}</p>}
          {warned.length > 0 && <p>{warned.map((code) => t(`view.warned.${code}`)).join("; ")}</p>}
          {shownOverlay && <HeatmapCaution pane={pane} overlay={shownOverlay} />}
        </div>
        <MarkLayer
          pane={pane}
          sides={!sideless}
          strokes={strokes}
          mode={store.open.brushMode.value}
          radius={painting ? brushRadius(store, pane) : null}
        />
        {store.tool.value === "magnify" && <Magnifier pane={pane} />}
        <p class="view-figures">
          {pane.affine.value && describeView(pane)} <Probe pane={pane} />
        </p>
      </Viewport>
    </article>
  );
}

/** The pixel under the pointer. A component of its own: it alone is drawn again as the pointer moves. */
function Probe({ pane }: { pane: Pane }) {
  return <span class="view-probe">{describeProbe(pane)}</span>;
}

function useIdentity(store: ViewerStore, study: string): Identity | null {
  const allowed = me.value?.sees_names ?? false;
  useEffect(() => {
    if (!allowed || store.identities.peek().has(study)) return;
    body(api.GET("/api/studies/{study}/identity", { params: { path: { study } } })).then(
      (identity) => {
        store.identities.value = new Map(store.identities.value).set(study, identity);
      },
      () => undefined, // the banner then shows the pseudonym
    );
  }, [store, study, allowed]);
  return store.identities.value.get(study) ?? null;
}

function handlersOf(store: ViewerStore, pane: Pane): Handlers {
  const { open } = store;
  let grip: Grip | null = null;
  /** The measurements before a drag, which a second finger takes back. */
  let before: readonly Measurement[] = [];
  const inImage = (at: Point): Point | null => (pane.affine.value ? apply(invertAffine(pane.affine.value), at) : null);
  return {
    tool: () => (open.brush.value !== null && !pane.prior ? "paint" : store.tool.value),
    start(tool, at) {
      const point = inImage(at);
      if (!point) return;
      if (tool === "paint") beginStroke(store, pane, point);
      if (tool === "magnify") pane.pointer.value = at;
      const kind = measuringTool(store, pane);
      if (kind === null || kind !== tool) return;
      pane.cursor.value = null; // the keyboard's place is no point of what the pointer draws
      before = pane.measurements.value;
      const last = before.at(-1);
      // What is being drawn goes on from here: an angle's second leg may begin at its vertex.
      const whole = last && !isComplete(last) && last.kind === kind ? before.slice(0, -1) : before;
      grip = findGrip(whole, pane.frame, point, GRIP / (pane.view.value?.scale ?? 1));
      if (!grip) ({ list: pane.measurements.value, grip } = beginDrag(before, kind, point));
    },
    move(tool, from, to) {
      const [view, point] = [pane.view.value, inImage(to)];
      if (!view || !point) return;
      pane.pointer.value = to;
      const moved: Point = [to[0] - from[0], to[1] - from[1]];
      if (tool === "pan") pane.view.value = panBy(view, pane.frame, moved);
      if (tool === "window") pane.window.value = dragWindow(pane.window.value, moved, pane.pixels.value?.bits ?? 8);
      if (tool === "zoom") {
        const { width, height } = pane.box.value;
        pane.view.value = zoomAt(view, pane.frame, pane.box.value, dragZoom(moved[1]), [width / 2, height / 2]);
      }
      if (tool === "paint") {
        extendStroke(store, point);
        pane.cursor.value = point;
      }
      if (grip && isMeasureKind(tool)) pane.measurements.value = movePoint(pane.measurements.value, grip, point);
    },
    end(tool, complete) {
      if (tool === "magnify") pane.pointer.value = null;
      if (tool === "paint" && !complete) removeLastStroke(store);
      const drawn = grip && pane.measurements.value[grip.measurement];
      grip = null;
      if (!drawn || !isMeasureKind(tool)) return;
      if (isEmpty(drawn) || !complete) pane.measurements.value = [...before];
      else announceMeasurement(store, pane, drawn);
    },
    hover(at) {
      pane.pointer.value = at;
      const painting = open.brush.value !== null && !pane.prior;
      if (painting) pane.cursor.value = at && inImage(at);
    },
    pinch(factor, at, moved) {
      const view = pane.view.value;
      if (view) pane.view.value = zoomAt(panBy(view, pane.frame, moved), pane.frame, pane.box.value, factor, at);
    },
    wheel(factor, at) {
      if (pane.view.value) pane.view.value = zoomAt(pane.view.value, pane.frame, pane.box.value, factor, at);
    },
  };
}
