// Engines overlap when one study is left for the next. Cornerstone itself is replaced: it needs a canvas and WebGL.
import { expect, test, vi } from "vitest";
import type { Pixels } from "./pixels";
import { startEngine } from "./rendering-engine";

type Loader = (imageId: string) => { promise: Promise<{ width: number }> };

const cornerstone = vi.hoisted(() => ({ loaders: new Map<string, Loader>(), widths: [] as number[], engines: 0 }));

vi.mock("@cornerstonejs/core", () => ({
  cache: { getImageLoadObject: () => undefined },
  Enums: {
    Events: { WEBGL_CONTEXT_LOST: "lost" },
    ViewportType: { STACK: "stack" },
    VOILUTFunctionType: { LINEAR: "LINEAR" },
    MetadataModules: {},
  },
  eventTarget: new EventTarget(),
  getRenderingCapabilities: () => ({ webgl2: true, maxTextureSize: 4096 }),
  imageLoader: { registerImageLoader: (scheme: string, loader: Loader) => cornerstone.loaders.set(scheme, loader) },
  init: () => undefined,
  metaData: { addProvider: () => undefined, removeProvider: () => undefined },
  setUseCPURendering: () => undefined,
  utilities: { VoxelManager: { createImageVoxelManager: () => ({}) } },
  RenderingEngine: class {
    id = `engine-${++cornerstone.engines}`;
    enableElement() {}
    destroy() {}
    getViewport() {
      return {
        async setStack(names: string[], level: number) {
          const name = names[level] as string;
          const image = await cornerstone.loaders.get(name.split(":")[0] as string)?.(name).promise;
          cornerstone.widths.push(image?.width ?? 0);
        },
      };
    }
  },
}));

const element = { clientWidth: 100, clientHeight: 100 } as HTMLDivElement;

async function show(engine: ReturnType<typeof startEngine>, width: number): Promise<void> {
  const pixels = { width, height: 100, bits: 8, values: new Uint8Array(100 * width) } as Pixels;
  await engine.addViewport(element).show("image", [pixels], { width, height: 100, row: 1, column: 1 });
}

test("an engine finds its own image while another starts, shows the same one and ends", async () => {
  const first = startEngine(false, () => undefined);
  const second = startEngine(false, () => undefined);
  await show(first, 10);
  await show(second, 20);
  second.close();
  await show(first, 30);
  expect(cornerstone.widths).toEqual([10, 20, 30]);
});
