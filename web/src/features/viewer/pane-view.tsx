// One pane: the banner that says whose image this is, the image with its layers, and what the pointer does to it.

import { useEffect, useMemo } from "preact/hooks";
import { api, body, me } from "../../api/client";
import type { Identity } from "../../api/types";
import { t } from "../../i18n";
import { apply, inverse, type Point, panBy, zoomAt } from "./geometry";
import { dragZoom, type Handlers } from "./gestures";
import { factsOf, figuresOf, labelOf, relation, whenOf, whoOf } from "./image-facts";
import { onArrows } from "./keyboard";
import { HeatLayer, lengthWords, Marks } from "./layers";
import type { Pane } from "./pane";
import { addTo, begin, dropLast } from "./strokes";
import { type Room, radiusOf } from "./viewer-store";
import { Screen } from "./viewport";
import { dragged } from "./window";

export function PaneView({ room, pane }: { room: Room; pane: Pane }) {
  const identity = useIdentity(room, pane.study.id);
  const [who, when] = [whoOf(pane, identity), whenOf(pane, identity)];
  const painting = !pane.prior && room.open.brush.value !== null;
  const overlay = room.open.overlay.value;
  const ofThis = (id: string) => room.open.predictions.value.find((one) => one.id === id)?.image;
  const laid =
    overlay && !pane.prior && (ofThis(overlay.prediction) ?? pane.image.id) === pane.image.id ? overlay : null;
  const strokes = pane.prior ? [] : room.open.strokes.value;
  const handlers = useMemo(() => handlersOf(room, pane), [room, pane]);
  const focus = () => {
    room.onPrior.value = pane.prior;
  };
  const both = room.prior.value !== null;
  const which = pane.prior ? relation(room, pane) : t("view.current");
  return (
    <article class="view-pane" data-prior={pane.prior} data-active={both && room.onPrior.value === pane.prior}>
      <header class="view-banner">
        {both && <strong class="view-which">{which}</strong>}
        <strong>{who}</strong>
        <span>{when}</span>
        <span class="soft">{factsOf(pane.image).join(" · ")}</span>
      </header>
      <Screen
        pane={pane}
        engine={room.engine.value}
        slow={room.slow}
        pixelsOf={room.pixels}
        label={labelOf(pane, which, who, when)}
        active={both && room.onPrior.value === pane.prior}
        handlers={handlers}
        onFocus={focus}
        onKeyDown={(event) => onArrows(event, room, pane)}
      >
        {laid && <HeatLayer pane={pane} overlay={laid} />}
        <Marks
          pane={pane}
          strokes={strokes}
          mode={room.open.meaning.value}
          radius={painting ? radiusOf(room, pane) : null}
        />
        <p class="view-figures">{pane.affine.value && figuresOf(pane)}</p>
      </Screen>
    </article>
  );
}

function useIdentity(room: Room, study: string): Identity | null {
  const allowed = me.value?.sees_names ?? false;
  useEffect(() => {
    if (!allowed || room.identities.peek().has(study)) return;
    body(api.GET("/api/studies/{study}/identity", { params: { path: { study } } })).then(
      (found) => {
        room.identities.value = new Map(room.identities.value).set(study, found);
      },
      () => undefined, // the banner then says the pseudonym
    );
  }, [room, study, allowed]);
  return room.identities.value.get(study) ?? null;
}

function handlersOf(room: Room, pane: Pane): Handlers {
  const { open } = room;
  const inImage = (at: Point): Point | null => (pane.affine.value ? apply(inverse(pane.affine.value), at) : null);
  return {
    tool: () => (open.brush.value !== null && !pane.prior ? "paint" : room.tool.value),
    start(tool, at) {
      const point = inImage(at);
      if (!point) return;
      if (tool === "paint") begin(room, pane, point);
      if (tool === "length" && pane.ruler) pane.lines.value = [...pane.lines.value, [point, point]];
    },
    move(tool, from, to) {
      const [view, point] = [pane.view.value, inImage(to)];
      if (!view || !point) return;
      const moved: Point = [to[0] - from[0], to[1] - from[1]];
      if (tool === "pan") pane.view.value = panBy(view, pane.frame, moved);
      if (tool === "window") pane.window.value = dragged(pane.window.value, moved, pane.pixels.value?.bits ?? 8);
      if (tool === "zoom") {
        const { width, height } = pane.box.value;
        pane.view.value = zoomAt(view, pane.frame, pane.box.value, dragZoom(moved[1]), [width / 2, height / 2]);
      }
      if (tool === "paint") {
        addTo(room, point);
        pane.cursor.value = point;
      }
      const last = pane.lines.value.at(-1);
      if (tool === "length" && last && pane.ruler)
        pane.lines.value = [...pane.lines.value.slice(0, -1), [last[0], point]];
    },
    end(tool, whole) {
      if (tool === "paint" && !whole) dropLast(room);
      if (tool !== "length" || !pane.ruler) return;
      const line = pane.lines.value.at(-1);
      const empty = line && line[0][0] === line[1][0] && line[0][1] === line[1][1];
      if (line && (empty || !whole)) pane.lines.value = pane.lines.value.slice(0, -1);
      else if (line) room.said.value = lengthWords(pane, line);
    },
    hover(at) {
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
