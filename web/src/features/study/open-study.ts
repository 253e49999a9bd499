// What the viewer and the panel of an open study share. The panel says what to lay over the image and when to paint;
// the viewer draws it and hands the painted strokes back. Neither knows the other.
import { signal } from "@preact/signals";
import type { Heatmap, Image, Prediction, Study } from "../../api/types";

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

/** One open study, made anew for each. */
export function createOpenStudy(study: Study) {
  return {
    study: signal<Study>(study),
    /** The image in the viewer. */
    image: signal<Image | null>(study.images[0] ?? null),
    /** Answers about all images of the study, as this reader may see them. */
    predictions: signal<Prediction[]>([]),
    /** Null: nothing is laid over the image, as at opening. */
    overlay: signal<Overlay | null>(null),
    /** Whether the viewer's pointer paints, and what the painting means. */
    brush: signal<"exclude" | "include" | null>(null),
    strokes: signal<Stroke[]>([]),
    /** What the strokes mean, also while nobody paints. */
    brushMode: signal<"exclude" | "include">("exclude"),
  };
}
export type OpenStudy = ReturnType<typeof createOpenStudy>;
