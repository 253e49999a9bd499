// The viewer's own state while a study is open: which images are on the screen, and what the pointer and the keys do to them.
import { type Signal, signal } from "@preact/signals";
import { me, problemIn } from "../../api/client";
import type { Identity, Image, Study } from "../../api/types";
import type { OpenStudy } from "../study/open-study";
import type { Decoded } from "./decode.worker";
import { zoomAt } from "./geometry";
import type { Tool } from "./gestures";
import { type Pane, paneOf } from "./pane";
import type { Pixels } from "./pixels";
import type { Engine } from "./rendering-engine";

/** Images whose pixels are kept decoded: the pair on the screen, and the pair before. */
const AT_HAND = 4;

export interface Room {
  open: OpenStudy;
  /** On the GPU where it can; a new one, on the CPU, where it can't. */
  engine: Signal<Promise<Engine>>;
  tool: Signal<Exclude<Tool, "paint">>;
  prior: Signal<Pane | null>;
  /** Who was examined and when, by study, where the account may know. */
  identities: Signal<ReadonlyMap<string, Identity>>;
  /** The patient's other studies, newest first; null until the server has answered. */
  others: Signal<Study[] | null>;
  /** Which pane the toolbar and the keys work on. */
  onPrior: Signal<boolean>;
  /** The brush's radius in pixels of the image; null: one that suits its size. */
  radius: Signal<number | null>;
  full: Signal<boolean>;
  help: Signal<boolean>;
  /** What a screen reader is told. */
  said: Signal<string>;
  pane(image: Image, study: Study, prior: boolean): Pane;
  /** An image and its means, finest first. */
  pixels(image: string): Promise<Pixels[]>;
  /** Go on without the GPU. */
  slow(): void;
  close(): void;
}

export function openRoom(open: OpenStudy): Room {
  const panes = new Map<string, Pane>();
  const decoded = new Map<string, Promise<Pixels[]>>();
  const start = (cpu: boolean) => import("./rendering-engine").then(({ startEngine }) => startEngine(cpu, slow));
  const engine = signal(start(false));
  const slow = () => {
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
    onPrior: signal(false),
    radius: signal(null),
    full: signal(false),
    help: signal(false),
    said: signal(""),
    pane(image, study, prior) {
      const key = `${prior} ${image.id}`;
      const pane = panes.get(key) ?? paneOf(image, study, prior);
      panes.set(key, pane);
      return pane;
    },
    pixels(image) {
      const found = decoded.get(image) ?? fetchPixels(image);
      decoded.delete(image);
      decoded.set(image, found);
      found.catch(() => decoded.delete(image));
      const oldest = decoded.keys().next().value;
      if (decoded.size > AT_HAND && oldest !== undefined) decoded.delete(oldest);
      return found;
    },
    slow,
    close() {
      void engine.value.then((started) => started.close());
      decoded.clear();
    },
  };
}

/** The pane of the image that the study's panel speaks about. */
export function current(room: Room): Pane | null {
  const image = room.open.image.value;
  return image ? room.pane(image, room.open.study.value, false) : null;
}

/** The pane that the toolbar and the keys work on. */
export function active(room: Room): Pane | null {
  return room.onPrior.value && room.prior.value ? room.prior.value : current(room);
}

/** The brush's radius in pixels of the image. */
export function radiusOf(room: Room, pane: Pane): number {
  return room.radius.value ?? Math.max(2, Math.round(Math.min(pane.frame.width, pane.frame.height) / 20));
}

export function zoomBy(pane: Pane, factor: number): void {
  const box = pane.box.value;
  if (pane.view.value)
    pane.view.value = zoomAt(pane.view.value, pane.frame, box, factor, [box.width / 2, box.height / 2]);
}

/** Take off what was painted and laid over the image before: it belongs to that one. */
export function cleared(room: Room, image: string): void {
  const { open } = room;
  open.brush.value = null;
  open.strokes.value = [];
  const laid = open.overlay.value?.prediction;
  if (open.predictions.peek().find((one) => one.id === laid)?.image !== image) open.overlay.value = null;
  room.onPrior.value = false;
}

function fetchPixels(image: string): Promise<Pixels[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./decode.worker.ts", import.meta.url), { type: "module" });
    const settle = (act: () => void) => {
      worker.terminate();
      act();
    };
    worker.onmessage = ({ data }: MessageEvent<Decoded>) => {
      settle(() => {
        if ("levels" in data) return resolve(data.levels);
        const { status, said, words } = data;
        if (status === 401) me.value = null; // the session has ended: the page asks for a login
        reject(status === 200 ? new Error(words) : problemIn(status, said, words));
      });
    };
    worker.onerror = (event) => settle(() => reject(new Error(event.message)));
    worker.postMessage(`/api/images/${image}/pixels`);
  });
}
