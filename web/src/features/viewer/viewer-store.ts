// The viewer's state while a study is open: the images on the screen, the tool, the brush and the shared pixels.
import { type Signal, signal } from "@preact/signals";
import { me, parseProblem } from "../../api/client";
import type { Identity, Image, Study } from "../../api/types";
import type { OpenStudy } from "../study/open-study";
import type { DecodeResult } from "./decode.worker";
import { zoomAt } from "./geometry";
import type { Tool } from "./gestures";
import { createPane, type Pane } from "./pane";
import type { Pixels } from "./pixels";
import type { Engine } from "./rendering-engine";

/** The most images whose decoded pixels stay in memory: the pair on the screen and the previous pair. */
const MAX_DECODED = 4;

export interface ViewerStore {
  open: OpenStudy;
  /** The rendering engine: on the GPU if possible, else replaced by one on the CPU. */
  engine: Signal<Promise<Engine>>;
  tool: Signal<Exclude<Tool, "paint">>;
  prior: Signal<Pane | null>;
  /** The patient and time of each study, if the account may see them. */
  identities: Signal<ReadonlyMap<string, Identity>>;
  /** The patient's other studies, newest first; null until the server has answered. */
  others: Signal<Study[] | null>;
  /** Whether the prior follows the current image in window, zoom and place, and the other way round. */
  linked: Signal<boolean>;
  /** Whether the toolbar and the keys act on the prior image. */
  onPrior: Signal<boolean>;
  /** The brush's radius in pixels of the image; null: chosen by the image's size. */
  radius: Signal<number | null>;
  fullScreen: Signal<boolean>;
  helpOpen: Signal<boolean>;
  /** The text that screen readers announce. */
  announcement: Signal<string>;
  pane(image: Image, study: Study, prior: boolean): Pane;
  /** Return an image's levels, finest first. */
  pixels(image: string): Promise<Pixels[]>;
  /** Continue without the GPU. */
  useCpu(): void;
  close(): void;
}

export function openViewerStore(open: OpenStudy): ViewerStore {
  const panes = new Map<string, Pane>();
  const decoded = new Map<string, Promise<Pixels[]>>();
  const start = (cpu: boolean) => import("./rendering-engine").then(({ startEngine }) => startEngine(cpu, useCpu));
  const engine = signal(start(false));
  const useCpu = () => {
    const before = engine.value;
    engine.value = start(true);
    void before.then((started) => started.close());
  };
  return {
    open,
    engine,
    tool: signal("window"),
    prior: signal(null),
    identities: signal(new Map()),
    others: signal(null),
    linked: signal(false),
    onPrior: signal(false),
    radius: signal(null),
    fullScreen: signal(false),
    helpOpen: signal(false),
    announcement: signal(""),
    pane(image, study, prior) {
      const key = `${prior} ${image.id}`;
      const pane = panes.get(key) ?? createPane(image, study, prior);
      panes.set(key, pane);
      return pane;
    },
    pixels(image) {
      const decoding = decoded.get(image) ?? fetchPixels(image);
      decoded.delete(image);
      decoded.set(image, decoding);
      decoding.catch(() => decoded.delete(image));
      const oldest = decoded.keys().next().value;
      if (decoded.size > MAX_DECODED && oldest !== undefined) decoded.delete(oldest);
      return decoding;
    },
    useCpu,
    close() {
      void engine.value.then((started) => started.close());
      decoded.clear();
    },
  };
}

/** Return the pane of the image that the study's panel is about. */
export function currentPane(store: ViewerStore): Pane | null {
  const image = store.open.image.value;
  return image ? store.pane(image, store.open.study.value, false) : null;
}

/** Return the pane that the toolbar and the keys act on. */
export function activePane(store: ViewerStore): Pane | null {
  return store.onPrior.value && store.prior.value ? store.prior.value : currentPane(store);
}

/** The brush's radius in pixels of the image. */
export function brushRadius(store: ViewerStore, pane: Pane): number {
  return store.radius.value ?? Math.max(2, Math.round(Math.min(pane.frame.width, pane.frame.height) / 20));
}

export function zoomBy(pane: Pane, factor: number): void {
  const box = pane.box.value;
  if (pane.view.value)
    pane.view.value = zoomAt(pane.view.value, pane.frame, box, factor, [box.width / 2, box.height / 2]);
}

/** Remove strokes and overlay of the previous image. */
export function clearOverlays(store: ViewerStore, image: string): void {
  const { open } = store;
  open.brush.value = null;
  open.strokes.value = [];
  const prediction = open.overlay.value?.prediction;
  if (open.predictions.peek().find((one) => one.id === prediction)?.image !== image) open.overlay.value = null;
  const outlined = open.outline.value?.prediction;
  if (open.predictions.peek().find((one) => one.id === outlined)?.image !== image) open.outline.value = null;
  store.onPrior.value = false;
}

function fetchPixels(image: string): Promise<Pixels[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./decode.worker.ts", import.meta.url), { type: "module" });
    const settle = (act: () => void) => {
      worker.terminate();
      act();
    };
    worker.onmessage = ({ data }: MessageEvent<DecodeResult>) => {
      settle(() => {
        if ("levels" in data) return resolve(data.levels);
        const { status, payload, message } = data;
        if (status === 401) me.value = null; // the session has ended: the page asks for a login
        reject(status === 200 ? new Error(message) : parseProblem(status, payload, message));
      });
    };
    worker.onerror = (event) => settle(() => reject(new Error(event.message)));
    worker.postMessage(`/api/images/${image}/pixels`);
  });
}
