// Cornerstone3D for radiographs: our own image loader, one rendering engine, one stack viewport per pane. It is loaded
// when a study is opened, never by the worklist. Without WebGL 2, and for images larger than a texture, the same
// viewport draws on the CPU.
import {
  cache,
  Enums,
  eventTarget,
  getRenderingCapabilities,
  imageLoader,
  init,
  metaData,
  RenderingEngine,
  setUseCPURendering,
  type Types,
} from "@cornerstonejs/core";
import { createImage, findMetadata, type LoadedImage } from "./cornerstone-image";
import {
  type Affine,
  affineFrom,
  type Box,
  clamp,
  type Frame,
  fitView,
  type Point,
  turnDirection,
  type View,
  viewToAffine,
} from "./geometry";
import type { Pixels } from "./pixels";
import type { Window } from "./window";

const SCHEME = "pneumo";
/**
 * The images of all engines, by Cornerstone's name. A page has one loader for a scheme, and engines overlap: that of
 * the study before may still start or end while the next one draws.
 */
const loadedImages = new Map<string, LoadedImage>();
const facts = (type: string, imageId: unknown) => findMetadata(type, loadedImages.get(String(imageId)));
metaData.addProvider(facts, 1000);
imageLoader.registerImageLoader(SCHEME, (imageId) => {
  const loaded = loadedImages.get(imageId);
  if (!loaded) throw new Error(`The engine of ${imageId} was closed.`);
  return { promise: Promise.resolve(createImage(imageId, loaded)) };
});

/** Full depth rather than small textures; one context draws all panes. */
const RENDERING = { preferSizeOverAccuracy: false, strictZSpacingForVolumeViewport: true, webGlContextCount: 1 };

/** Members of Cornerstone's viewport that its types do not declare. */
interface CornerstoneInternals {
  useCPURendering: boolean;
  stackInvalidated: boolean;
  setRotation(degrees: number): void;
}

/** One viewport. */
export interface ViewportHandle {
  /** Show an image by the level that suits its size on the screen (see `buildLevels`). */
  show(id: string, levels: Pixels[], frame: Frame): Promise<void>;
  /** Show a part of the image; return the viewport's map from image coordinates to the screen. */
  setView(view: View): Affine;
  setWindow(window: Window, invert: boolean): void;
  /** Adopt the element's new size. */
  resize(): void;
  close(): void;
}
export interface Engine {
  /** Return whether this engine can draw an image of that size; an engine on the CPU can draw any. */
  canDraw(frame: Frame): boolean;
  addViewport(element: HTMLDivElement): ViewportHandle;
  /** Release all viewports and all pixels. */
  close(): void;
}

/**
 * Start Cornerstone.
 * @param cpu - Draw on the CPU even where the GPU could.
 * @param onLost - Called when the GPU is taken away, as phones do with pages in the background.
 */
export function startEngine(cpu: boolean, onLost: () => void): Engine {
  const { webgl2, maxTextureSize } = getRenderingCapabilities();
  const onCpu = cpu || !webgl2;
  init({ rendering: RENDERING, debug: {} });
  setUseCPURendering(onCpu, false);
  const engine = new RenderingEngine();
  const prefix = `${SCHEME}:${engine.id}/`;
  const onContextLost = (event: Event) => {
    if ((event as CustomEvent<{ renderingEngineId: string }>).detail.renderingEngineId === engine.id) onLost();
  };
  eventTarget.addEventListener(Enums.Events.WEBGL_CONTEXT_LOST, onContextLost);
  let stages = 0;
  let open = true;
  return {
    canDraw: ({ width, height }) => onCpu || Math.max(width, height) <= maxTextureSize,
    addViewport(element) {
      stages += 1;
      const viewportId = `${engine.id}-${stages}`;
      engine.enableElement({ viewportId, type: Enums.ViewportType.STACK, element });
      const viewport = engine.getViewport(viewportId) as Types.IStackViewport;
      return new CornerstoneViewport(viewport, element, prefix, () => {
        if (open) engine.disableElement(viewportId);
      });
    },
    close() {
      open = false;
      eventTarget.removeEventListener(Enums.Events.WEBGL_CONTEXT_LOST, onContextLost);
      engine.destroy();
      for (const imageId of [...loadedImages.keys()].filter((one) => one.startsWith(prefix))) {
        if (cache.getImageLoadObject(imageId)) cache.removeImageLoadObject(imageId);
        loadedImages.delete(imageId);
      }
    },
  };
}

class CornerstoneViewport implements ViewportHandle {
  private frame: Frame | null = null;
  private levels: string[] = [];
  private level = 0;
  private shown: { view?: View; window?: Window; invert?: boolean } = {};
  private loading: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly viewport: Types.IStackViewport,
    private readonly element: HTMLDivElement,
    /** What the names of this engine's images begin with. */
    private readonly prefix: string,
    private readonly disable: () => void,
  ) {}

  async show(id: string, levels: Pixels[], frame: Frame): Promise<void> {
    this.levels = levels.map((pixels, level) => {
      const name = `${this.prefix}${id}/${level}`;
      const { width, height } = pixels;
      const factor = 2 ** level;
      const [column, row] = [factor * frame.column, factor * frame.row];
      const shift = this.onCpu() ? 0 : (factor - 1) / 2; // see `world`
      const origin = [shift * frame.column, shift * frame.row] as const;
      loadedImages.set(name, { pixels, frame: { width, height, column, row }, origin });
      return name;
    });
    this.sizeCanvas();
    this.level = this.levelFor(fitView(frame, this.box(), 0), frame);
    await this.viewport.setStack(this.levels, this.level);
    this.frame = frame;
  }

  close(): void {
    this.closed = true;
    this.disable();
  }

  setView(view: View): Affine {
    this.shown.view = view;
    const level = this.levelFor(view, this.requireFrame());
    if (level !== this.level) {
      this.level = level;
      this.loading = this.loading.then(() => this.load(level));
    }
    return this.place(view);
  }

  /** Change to another level; the view and the window stay as they are. */
  private async load(level: number): Promise<void> {
    if (this.closed || level !== this.level) return;
    // Otherwise the CPU draws the new level with the size of the previous one.
    if (this.onCpu()) (this.viewport as unknown as CornerstoneInternals).stackInvalidated = true;
    await this.viewport.setImageIdIndex(level);
    const { view, window, invert = false } = this.shown;
    if (this.closed || !view) return;
    this.place(view);
    if (window) this.setWindow(window, invert);
  }

  /** Return the coarsest level whose pixels are no larger than the screen's. */
  private levelFor(view: View, frame: Frame): number {
    const pixelSize = Math.min(frame.column, frame.row) * view.scale * (globalThis.devicePixelRatio || 1);
    return clamp(Math.floor(Math.log2(1 / pixelSize)), 0, this.levels.length - 1);
  }

  private place(view: View): Affine {
    const frame = this.requireFrame();
    const box = this.box();
    const { cos, sin } = turnDirection(view.turn);
    const focalPoint: Types.Point3 = [...this.world(view.centre, frame), 0];
    if (this.onCpu()) {
      (this.viewport as unknown as CornerstoneInternals).setRotation(view.turn);
      this.viewport.setCamera({ focalPoint, parallelScale: box.height / 2 / view.scale });
      // On the CPU the scale uses other pixels (of the device; of the finer of two spacings): correct it by the result.
      const target = viewToAffine(view, frame, box);
      const ratio =
        Math.hypot(target[0], target[1]) / Math.hypot(...(this.affine(frame).slice(0, 2) as [number, number]));
      this.viewport.setCamera({ focalPoint, parallelScale: box.height / 2 / view.scale / ratio });
    } else {
      const { position, focalPoint: before } = this.viewport.getCamera();
      const distance = (position?.[2] ?? -1) - (before?.[2] ?? 0);
      this.viewport.setCamera({
        focalPoint,
        position: [focalPoint[0], focalPoint[1], distance],
        viewUp: [-sin, -cos, 0],
        parallelScale: box.height / 2 / view.scale,
      });
    }
    this.viewport.render();
    return this.affine(frame);
  }

  setWindow(window: Window, invert: boolean): void {
    this.shown = { ...this.shown, window, invert };
    this.viewport.setProperties({ voiRange: { ...window }, invert });
    this.viewport.render();
  }

  resize(): void {
    if (this.onCpu()) this.sizeCanvas();
    else this.viewport.getRenderingEngine().resize(true, true);
  }

  /** Size the canvas in device pixels: on the CPU Cornerstone uses CSS pixels but maps points in device pixels. */
  private sizeCanvas(): void {
    if (!this.onCpu()) return;
    const { width, height } = this.box();
    const ratio = globalThis.devicePixelRatio || 1;
    const { canvas } = this.viewport;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  }

  private affine(frame: Frame): Affine {
    const corner = (point: Point) => this.viewport.worldToCanvas([...this.world(point, frame), 0]) as Point;
    return affineFrom(frame, corner([0, 0]), corner([frame.width, 0]), corner([0, frame.height]));
  }

  /** Return a point in world units. A pixel's coordinates mean its centre on the GPU and its corner on the CPU. */
  private world([x, y]: Point, frame: Frame): [number, number] {
    const half = this.onCpu() ? 0 : 0.5;
    return [(x - half) * frame.column, (y - half) * frame.row];
  }

  private onCpu(): boolean {
    return (this.viewport as unknown as CornerstoneInternals).useCPURendering;
  }

  private box(): Box {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  private requireFrame(): Frame {
    if (!this.frame) throw new Error("no image is shown yet");
    return this.frame;
  }
}
