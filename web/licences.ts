// Adds to the licences of the pages those of what the workers hold, which are builds of their own.
import { existsSync, readFileSync } from "node:fs";
import type { Plugin } from "vite";

/** Packages in the workers and in the service worker. Their code is bundled there; Vite lists that of the pages. */
const PACKAGES = [
  "onnxruntime-web",
  "@cornerstonejs/codec-libjpeg-turbo-8bit",
  "@cornerstonejs/codec-charls",
  "@cornerstonejs/codec-openjpeg",
  "dicom-parser",
  "fast-png",
  "fflate",
  "iobuffer",
  "jpeg-lossless-decoder-js",
  "workbox-core",
];

export function addLicences(): Plugin {
  return {
    name: "add-licences",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const listed = bundle["licences.md"];
        if (listed?.type !== "asset") this.error("Vite has written no licences.md");
        const parts = PACKAGES.map((name) => {
          const folder = new URL(`node_modules/${name}/`, import.meta.url);
          const { version, license } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as {
            version: string;
            license: string;
          };
          const file = new URL("LICENSE", folder);
          const text = existsSync(file) ? `\n\n${readFileSync(file, "utf8").trim()}` : "";
          return `## ${name} - ${version} (${license})${text}\n`;
        });
        const notices = readFileSync(new URL("notices.md", import.meta.url), "utf8");
        listed.source = [String(listed.source).trimEnd(), ...parts, notices].join("\n\n");
      },
    },
  };
}
