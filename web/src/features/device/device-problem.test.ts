// What the page says of files that can't be read on a device.
import { beforeEach, expect, test } from "vitest";
import { decode } from "../../device/decode";
import { DeviceProblem, readFile } from "../../device/engine";
import { FileProblem } from "../../device/picture";
import { LANGUAGES, type Language, language } from "../../i18n";
import { describe } from "./device-problem";

beforeEach(() => {
  language.value = "en";
});

const FILES = {
  GIF: "GIF89a\x01\x00\x01\x00",
  text: "a report, and no image of anything",
  TIFF: "II*\0\x08\0\0\0",
  WebP: "RIFF\x10\0\0\0WEBPVP8 ",
};

test("a file beyond the limit is refused before it is read, and one that is gone is said to be", async () => {
  const arrayBuffer = () => Promise.reject(new DOMException("gone", "NotFoundError"));
  const large = await readFile({ size: 600 * 2 ** 20, arrayBuffer } as unknown as File).catch(describe);
  expect(large).toBe("The file is larger than the limit of 512 MiB. Send one radiograph per file. (it has 600 MiB)");
  const gone = await readFile({ size: 1, arrayBuffer } as unknown as File).catch(describe);
  expect(gone).toMatch(/^This file can't be read: .* Choose it again\./);
});

test("the page's words for an error that nobody foresaw keep the detail in every language", () => {
  const failed = { kind: "failed", code: "error", values: {}, message: "out of memory" } as const;
  for (const name of Object.keys(LANGUAGES) as Language[]) {
    language.value = name;
    expect(describe(new DeviceProblem(failed))).toMatch(/\. \(out of memory\)$/);
  }
});

for (const [kind, text] of Object.entries(FILES))
  for (const name of Object.keys(LANGUAGES) as Language[])
    test(`of a ${kind} file the page names what is read here, and nothing else (${name})`, async () => {
      language.value = name;
      const found: unknown = await decode(new TextEncoder().encode(text)).catch((error: unknown) => error);
      if (!(found instanceof FileProblem)) throw found;
      const { code, values, message } = found;
      const words = describe(new DeviceProblem({ kind: "failed", code, values, message: "" }));
      expect(message).not.toBe("");
      expect(words).toMatch(name === "en" ? /Possible are PNG, JPEG and DICOM/ : /Möglich sind PNG, JPEG und DICOM/);
      expect(words).not.toMatch(/WebP|TIFF/);
    });
