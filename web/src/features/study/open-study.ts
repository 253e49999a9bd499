// The state that the viewer and the panel of an open study share. The panel sets the overlay and the brush; the viewer
// draws them and adds the painted strokes. Neither imports the other.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Heatmap, Image, LungRuns, Prediction, Study } from "../../api/types";

export interface Stroke {
  /** In pixels of the stored image, as are the points: x = column, y = row. */
  radius: number;
  points: [number, number][];
}
/** A heatmap to lay over the image: values of one label, in its true resolution. */
export interface Overlay {
  prediction: string;
  label: string;
  heatmap: Heatmap;
  /** 0..1 */
  opacity: number;
}

/** What an answer's companion outlined. */
export interface Outline {
  prediction: string;
  lungs: LungRuns;
  /** Null: it saw no plausible one. */
  heart: LungRuns | null;
}

/** Return the outline of an answer, or null where it has none. */
export function outlineOf({ id, result }: Prediction): Outline | null {
  return result?.lungs ? { prediction: id, lungs: result.lungs, heart: result.heart ?? null } : null;
}

export type Command = "heatmap" | "save" | "lock" | "next";

/** Let a key of the viewer call a function while the calling component is on the page. */
export function useCommand(open: OpenStudy, name: Command, act: () => void): void {
  useEffect(() => {
    open.commands.set(name, act);
    return () => {
      if (open.commands.get(name) === act) open.commands.delete(name);
    };
  });
}

/** Create the state of one open study. */
export function createOpenStudy(study: Study) {
  return {
    study: signal<Study>(study),
    /** The image in the viewer. */
    image: signal<Image | null>(study.images[0] ?? null),
    /** Answers about all images of the study, as this reader may see them. */
    predictions: signal<Prediction[]>([]),
    /** Null: the image has no overlay, as when the study opens. */
    overlay: signal<Overlay | null>(null),
    /** Lungs and heart that an answer's companion outlined; null: they are not drawn. */
    outline: signal<Outline | null>(null),
    /** The brush while the pointer paints: whether it covers or keeps what it paints; null while it does not paint. */
    brush: signal<"exclude" | "include" | null>(null),
    strokes: signal<Stroke[]>([]),
    /** What is measured on the visible image, as the viewer writes it. */
    measurements: signal<string[]>([]),
    /** What the keys of the viewer ask of the panel and of the page. */
    commands: new Map<Command, () => void>(),
    /** Whether the strokes cover or keep, also while the pointer does not paint. */
    brushMode: signal<"exclude" | "include">("exclude"),
  };
}
export type OpenStudy = ReturnType<typeof createOpenStudy>;
