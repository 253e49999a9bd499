// Builds the web app into the Python package. The server's Content-Security-Policy forbids inline scripts, so nothing
// is inlined.
import { defineConfig } from "vite";
import { leanCornerstone } from "./cornerstone.ts";

const server = process.env.PNEUMOSCOPE_SERVER ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [leanCornerstone()],
  build: {
    outDir: "../src/pneumoscope/web",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false },
    license: { fileName: "licences.md" }, // the licences of the bundled packages, which MIT and BSD require
    chunkSizeWarningLimit: 4000, // the viewer is loaded when a study is opened
  },
  // The server compares Origin with Host, so both must stay the browser's own.
  server: { proxy: { "/api": { target: server, changeOrigin: false }, "/healthz": server } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
