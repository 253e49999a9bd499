// Builds the web app into the Python package. The server's Content-Security-Policy forbids inline scripts, so nothing
// is inlined. There are two pages: the reading room (index.html), and the app on this device (device.html), which needs
// no server and whose files a service worker keeps.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defaultClientConditions, defineConfig, type Plugin } from "vite";
import { VitePWA } from "vite-plugin-pwa";
import { leanCornerstone } from "./cornerstone.ts";
import { addLicences } from "./licences.ts";

const server = process.env.PNEUMOSCOPE_SERVER ?? "http://127.0.0.1:8000";

/** Files that the app on this device needs without a connection, collected from the build. */
const deviceFiles = new Set<string>();

/** Collects what device.html and its worker load, so that the service worker keeps nothing of the reading room. */
function collectDeviceFiles(): Plugin {
  return {
    name: "collect-device-files",
    apply: "build",
    // Last: Vite takes chunks that held styles alone away.
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const add = (name: string) => {
          const file = bundle[name];
          if (!file || deviceFiles.has(name)) return;
          deviceFiles.add(name);
          if (file.type !== "chunk") return;
          for (const next of [...file.imports, ...file.dynamicImports]) add(next);
          const { importedCss, importedAssets } = file.viteMetadata ?? {};
          for (const next of [...(importedCss ?? []), ...(importedAssets ?? [])]) add(next);
        };
        for (const [name, file] of Object.entries(bundle))
          if (file.type === "chunk" && file.isEntry && file.name === "device") add(name);
        const icons = ["device-icon-192.png", "device-icon-512.png", "device-icon-maskable-512.png"];
        const made = ["device.html", "device.webmanifest", "device-sw.js", "licences.md"];
        const files = [...deviceFiles, ...icons, ...made].sort();
        this.emitFile({ type: "asset", fileName: "device-files.json", source: `${JSON.stringify(files, null, 2)}\n` });
      },
    },
  };
}

/** Collects all files of the workers that run the networks: a build of its own for each. */
function collectWorkerFiles(): Plugin {
  return {
    name: "collect-worker-files",
    generateBundle(_, bundle) {
      const entries = Object.values(bundle).filter((file) => file.type === "chunk" && file.isEntry);
      if (entries.some(({ name }) => name === "device.worker" || name === "graph.worker"))
        for (const name of Object.keys(bundle)) deviceFiles.add(name);
    },
  };
}

/** ONNX Runtime's WebAssembly: no page fetches it before the reader has seen its size (src/device/runtime-file.ts). */
const runtime = readFileSync(new URL("node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm", import.meta.url));
const runtimeFile = { bytes: runtime.length, sha256: createHash("sha256").update(runtime).digest("hex") };

const isDeviceFile = (url: string) => deviceFiles.has(url) || /^device[^/]*\.(html|png|webmanifest)$/.test(url);

export default defineConfig({
  define: { __RUNTIME_FILE__: JSON.stringify(runtimeFile) },
  base: "./", // an exported folder may lie anywhere on a host
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  plugins: [
    leanCornerstone(),
    collectDeviceFiles(),
    addLicences(),
    VitePWA({
      strategies: "generateSW",
      filename: "device-sw.js",
      manifestFilename: "device.webmanifest",
      injectRegister: false,
      includeManifestIcons: false,
      manifest: {
        id: "./device.html",
        name: "Pneumoscope on this device",
        short_name: "Pneumoscope",
        description: "Chest X-ray classifiers that run on this device. Research software, not a medical device.",
        lang: "en",
        start_url: "./device.html",
        scope: "./",
        display: "standalone",
        background_color: "#0b0f14",
        theme_color: "#131a22",
        icons: [
          { src: "./device-icon-192.png", sizes: "192x192", type: "image/png" },
          { src: "./device-icon-512.png", sizes: "512x512", type: "image/png" },
          { src: "./device-icon-maskable-512.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
        ],
      },
      workbox: {
        globPatterns: ["**/*.{html,js,mjs,css,svg,wasm}", "device*.png"],
        globIgnores: ["**/ort-wasm*.wasm"], // the page downloads and keeps it when the reader asks for it
        // What this page does not need is not kept; the reading room is never answered from a store.
        manifestTransforms: [(entries) => ({ manifest: entries.filter(({ url }) => isDeviceFile(url)), warnings: [] })],
        navigateFallback: null,
        directoryIndex: null,
        cleanupOutdatedCaches: true,
        clientsClaim: true,
        skipWaiting: true,
        sourcemap: false,
        inlineWorkboxRuntime: true,
        cacheId: "pneumoscope-device",
      },
    }),
  ],
  worker: { format: "es", plugins: () => [collectWorkerFiles()] },
  build: {
    outDir: "../src/pneumoscope/web",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false },
    license: { fileName: "licences.md" }, // the licences of the bundled packages, which MIT and BSD require
    chunkSizeWarningLimit: 4000, // the viewer is loaded when a study is opened
    rolldownOptions: { input: { index: "index.html", device: "device.html" } },
  },
  // The server compares Origin with Host, so both must stay the browser's own.
  server: { proxy: { "/api": { target: server, changeOrigin: false }, "/healthz": server } },
  // A busy machine takes several times as long as an idle one.
  test: { environment: "node", include: ["src/**/*.test.ts"], testTimeout: 30_000 },
} as Parameters<typeof defineConfig>[0]);
