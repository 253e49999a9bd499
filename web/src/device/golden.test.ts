// Every decoder gives the arrays that Python gives: the golden arrays of pneumoscope.imaging, computed from the
// standards.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { binaries } from "./codecs";
import { decode } from "./decode";
import { FileProblem } from "./picture";

const FOLDER = new URL("../../../src/pneumoscope/imaging/golden/", import.meta.url);
const NOT_HERE = /\.(tif|webp)$/; // the server alone reads these

interface Case {
  file: string;
  depth?: number;
  refused?: boolean;
  shape: [number, number];
  expected: string;
  tolerance: number;
}
const { cases } = JSON.parse(readFileSync(new URL("manifest.json", FOLDER), "utf8")) as { cases: Case[] };
// Vite names the file by its path below the folder of package.json.
binaries.fetch = async (url) => readFileSync(new URL(`../..${decodeURI(url)}`, import.meta.url));

for (const { file, depth, refused, shape, expected, tolerance } of cases.filter(({ file }) => !NOT_HERE.test(file)))
  test(file, async () => {
    const data = new Uint8Array(readFileSync(new URL(file, FOLDER)));
    if (refused) {
      await expect(decode(data, depth)).rejects.toBeInstanceOf(FileProblem);
      return;
    }
    const { width, height, values } = await decode(data, depth);
    expect([height, width]).toEqual(shape);
    const bytes = readFileSync(new URL(expected, FOLDER));
    const wanted = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    let largest = 0;
    wanted.forEach((value, k) => {
      largest = Math.max(largest, Math.abs(value - (values[k] as number)));
    });
    expect(largest).toBeLessThanOrEqual(tolerance + 1e-9);
  });
