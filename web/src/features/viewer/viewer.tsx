// The viewer of an open study. Cornerstone3D is a separate chunk, loaded with the first image.
import { untracked, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { DISCLAIMER } from "../../disclaimer";
import { t } from "../../i18n";
import type { OpenStudy } from "../study/open-study";
import { formatMeasurement } from "./measuring";
import "./viewer.css";
import { keepPreference, readPreference } from "../../preferences";
import { returnFocus } from "./focus-return";
import { HelpDialog } from "./help";
import { onShortcut } from "./keyboard";
import { linkPane } from "./linked";
import { isComplete } from "./measurements";
import { BrushBar, HeatmapBar } from "./overlay-bars";
import { PaneView } from "./pane-view";
import { ThumbnailStrip } from "./thumbnail-strip";
import { Toolbar } from "./toolbar";
import { clearOverlays, currentPane, openViewerStore } from "./viewer-store";

const STORAGE_KEY = "pneumoscope.shortcuts";

export default function Viewer({ open }: { open: OpenStudy }) {
  const store = useMemo(() => openViewerStore(open), [open]);
  const shortcuts = useSignal(readPreference(STORAGE_KEY) !== "off");
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => () => store.close(), [store]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => onShortcut(event, store, shortcuts.value);
    const onFull = () => {
      if (!document.fullscreenElement) store.fullScreen.value = false;
    };
    document.addEventListener("keydown", onKey);
    document.addEventListener("fullscreenchange", onFull);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("fullscreenchange", onFull);
    };
  }, [store, shortcuts]);
  const shownImage = useRef(open.image.value?.id);
  useSignalEffect(() => {
    const image = open.image.value?.id;
    if (image && shownImage.current !== image) untracked(() => clearOverlays(store, image));
    shownImage.current = image;
  });
  useSignalEffect(() => keepPreference(STORAGE_KEY, shortcuts.value ? "on" : "off"));
  useSignalEffect(() => {
    // Phones without full screen for elements use the whole window (see the style sheet).
    if (store.fullScreen.value) void root.current?.requestFullscreen?.().catch(() => undefined);
    else if (document.fullscreenElement) void document.exitFullscreen();
  });
  useSignalEffect(() => {
    const [current, beside] = [currentPane(store), store.prior.value];
    if (!store.linked.value || !current || !beside) return;
    const [from, to] = store.onPrior.value ? [beside, current] : [current, beside];
    // All that `linkPane` reads of the active pane is followed; the other pane is only written.
    void [from.view.value, from.window.value, from.invert.value, from.box.value, from.pixels.value, to.pixels.value];
    untracked(() => linkPane(from, to));
  });
  useSignalEffect(() => {
    const shown = currentPane(store);
    open.measurements.value =
      shown?.measurements.value.filter(isComplete).map((one) => formatMeasurement(shown, one)) ?? [];
  });
  useEffect(() => (root.current ? returnFocus(root.current) : undefined), []);
  const pane = currentPane(store);
  const prior = store.prior.value;
  return (
    <div
      class="viewer"
      ref={root}
      data-full={store.fullScreen.value}
      data-painting={open.brush.value !== null}
      data-both={prior !== null}
      data-front={store.onPrior.value ? "prior" : "current"}
    >
      {store.fullScreen.value && (
        <p class="disclaimer" role="note" lang="en">
          {DISCLAIMER}
        </p>
      )}
      <Toolbar store={store} />
      <div class="view-panes">
        <div class="view-bars">
          <HeatmapBar store={store} />
          <BrushBar store={store} />
        </div>
        {pane ? <PaneView key={pane.image.id} store={store} pane={pane} /> : <p class="soft">{t("view.empty")}</p>}
        {prior && <PaneView key={prior.image.id} store={store} pane={prior} />}
      </div>
      <ThumbnailStrip store={store} />
      <p class="hidden" aria-live="polite">
        {store.announcement.value}
      </p>
      <HelpDialog store={store} shortcuts={shortcuts} />
    </div>
  );
}
