// The viewer of an open study. Cornerstone3D comes with the first image, in a file of its own.
import { untracked, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { DISCLAIMER } from "../../disclaimer";
import { t } from "../../i18n";
import type { OpenStudy } from "../study/open-study";
import "./viewer.css";
import { Help } from "./help";
import { onShortcut } from "./keyboard";
import { BrushBar, HeatBar } from "./overlay-bars";
import { PaneView } from "./pane-view";
import { Strip } from "./thumbnail-strip";
import { Toolbar } from "./toolbar";
import { cleared, current, openRoom } from "./viewer-store";

const REMEMBERED = "pneumoscope.shortcuts";

export default function Viewer({ open }: { open: OpenStudy }) {
  const room = useMemo(() => openRoom(open), [open]);
  const shortcuts = useSignal(localStorage.getItem(REMEMBERED) !== "off");
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => () => room.close(), [room]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => onShortcut(event, room, shortcuts.value);
    const onFull = () => {
      if (!document.fullscreenElement) room.full.value = false;
    };
    document.addEventListener("keydown", onKey);
    document.addEventListener("fullscreenchange", onFull);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("fullscreenchange", onFull);
    };
  }, [room, shortcuts]);
  const shown = useRef(open.image.value?.id);
  useSignalEffect(() => {
    const image = open.image.value?.id;
    if (image && shown.current !== image) untracked(() => cleared(room, image));
    shown.current = image;
  });
  useSignalEffect(() => localStorage.setItem(REMEMBERED, shortcuts.value ? "on" : "off"));
  useSignalEffect(() => {
    // A phone that has no full screen for elements gets the whole window (see the style sheet).
    if (room.full.value) void root.current?.requestFullscreen?.().catch(() => undefined);
    else if (document.fullscreenElement) void document.exitFullscreen();
  });
  const pane = current(room);
  const prior = room.prior.value;
  return (
    <div
      class="viewer"
      ref={root}
      data-full={room.full.value}
      data-painting={open.brush.value !== null}
      data-both={prior !== null}
      data-front={room.onPrior.value ? "prior" : "current"}
    >
      {room.full.value && (
        <p class="disclaimer" role="note" lang="en">
          {DISCLAIMER}
        </p>
      )}
      <Toolbar room={room} />
      <HeatBar room={room} />
      <BrushBar room={room} />
      <div class="view-panes">
        {pane ? <PaneView key={pane.image.id} room={room} pane={pane} /> : <p class="soft">{t("view.empty")}</p>}
        {prior && <PaneView key={prior.image.id} room={room} pane={prior} />}
      </div>
      <Strip room={room} />
      <p class="hidden" aria-live="polite">
        {room.said.value}
      </p>
      <Help room={room} shortcuts={shortcuts} />
    </div>
  );
}
