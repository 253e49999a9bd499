// Leaves out of Cornerstone3D what a viewer of radiographs never runs: volumes, meshes, whole slides, video, ECG, and a
// DICOM parser (the server decodes). Its rendering engine lists all kinds of viewport in one table, so no bundler can
// see which are unused: 790 kB of compressed script become 175. Some modules do not even load in a browser (XML readers
// that need Node's `events`). A module that is left out throws an error with its name if it is called, and a path that
// no longer exists after an update stops the build.
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const CORE = "@cornerstonejs/core/dist/esm/";
const OPENGL = "@kitware/vtk.js/Rendering/OpenGL/";

/** Replaced by what a stack of radiographs needs of them. */
const REPLACED: Record<string, string> = {
  // The table of viewports: one entry of twelve.
  [`${CORE}RenderingEngine/helpers/viewportTypeToViewportClass.js`]: `
import StackViewport from "../StackViewport.js";
const classes = { stack: StackViewport };
export default classes;
export const isRegisteredViewportType = (type) => type in classes;
export const getViewportClassForInput = ({ type }) => {
  if (!(type in classes)) throw new Error("left out of this build: viewports of type " + type);
  return classes[type];
};
export const registerViewportType = () => { throw new Error("left out of this build: other viewports"); };
`,
  // Colour maps: a radiograph is grey.
  "@kitware/vtk.js/Rendering/Core/ColorTransferFunction/ColorMaps.json.js": "export default [];",
  // Cornerstone takes its logger and four names of transfer syntaxes (PS3.5 A) from this parser of DICOM.
  "dcmjs/build/dcmjs.es.js": `
const quiet = () => {};
const logger = () => ({
  trace: quiet, debug: quiet, info: quiet, warn: console.warn, error: console.error, setLevel: quiet, getLogger: logger,
});
export const log = logger();
export const constants = {
  IMPLICIT_LITTLE_ENDIAN: "1.2.840.10008.1.2",
  EXPLICIT_LITTLE_ENDIAN: "1.2.840.10008.1.2.1",
  DEFLATED_EXPLICIT_LITTLE_ENDIAN: "1.2.840.10008.1.2.1.99",
  EXPLICIT_BIG_ENDIAN: "1.2.840.10008.1.2.2",
};
export default { log, constants };
`,
};

/** Of the rest, these throw when they are called. */
const LEFT_OUT = [
  `${CORE}constants/cpuColormaps.js`,
  // What OpenGL draws beside one flat image.
  ...["Glyph3DMapper", "ImageCPRMapper", "ImageResliceMapper", "PixelSpaceCallbackMapper", "PolyDataMapper"].map(
    (name) => `${OPENGL}${name}.js`,
  ),
  ...["Actor2D", "Skybox", "SphereMapper", "StickMapper", "Volume", "VolumeMapper"].map(
    (name) => `${OPENGL}${name}.js`,
  ),
  `${CORE}RenderingEngine/vtkClasses/vtkStreamingOpenGLVolumeMapper.js`,
  `${CORE}RenderingEngine/vtkClasses/vtkStreamingOpenGLImageResliceMapper.js`,
];

export function leanCornerstone(): Plugin {
  const unseen = new Set([...Object.keys(REPLACED), ...LEFT_OUT]);
  let building = false;
  const load = (id: string): string | null => {
    const path = id
      .replaceAll("\\", "/")
      .replace(/\?.*$/, "")
      .replace(/^.*\/node_modules\//, "");
    unseen.delete(path);
    return REPLACED[path] ?? (LEFT_OUT.includes(path) ? throwing(path, readFileSync(id, "utf8")) : null);
  };
  return {
    name: "lean-cornerstone",
    enforce: "pre",
    config: () => ({ optimizeDeps: { rolldownOptions: { plugins: [{ name: "lean-cornerstone", load }] } } }),
    configResolved({ command }) {
      building = command === "build";
    },
    load,
    buildEnd(error) {
      if (building && !error && unseen.size > 0)
        throw new Error(`cornerstone.ts leaves out what no longer exists: ${[...unseen].join(", ")}`);
    },
  };
}

/** Return a module of the same names, each of which throws. */
function throwing(path: string, code: string): string {
  const declared = [...code.matchAll(/export\s+(?:async\s+)?(?:const|let|var|function\*?|class)\s+([\w$]+)/g)].map(
    (found) => found[1],
  );
  const listed = [...code.matchAll(/export\s*\{([^}]*)\}/g)].flatMap((found) => (found[1] ?? "").split(","));
  const names = [
    ...declared,
    ...listed.map((name) =>
      name
        .trim()
        .split(/\s+as\s+/)
        .pop(),
    ),
  ];
  const wanted = [...new Set(names)].filter((name) => name && name !== "default");
  const words = JSON.stringify(`left out of this build: ${path}`);
  return `function leftOut() { throw new Error(${words}); }
export default leftOut;
${wanted.map((name) => `export { leftOut as ${name} };`).join("\n")}`;
}
