import { expect, test } from "vitest";
import { colour } from "./colour-map";
import { dragWindow, fullRange, lungContrast, toFileLevel } from "./window";

test("full range is what the file can hold", () => {
  expect(fullRange(8)).toEqual({ lower: 0, upper: 255 });
  expect(fullRange(16)).toEqual({ lower: 0, upper: 65535 });
});

test("values are shown in the levels of the file, whatever depth they are stored in", () => {
  expect(toFileLevel(65535, 16, 8)).toBe(255);
  expect(toFileLevel(65535, 16, 12)).toBe(4095);
  expect(toFileLevel(65535, 16, 1)).toBe(255);
  expect([toFileLevel(40000, 16, 16), toFileLevel(200, 8, 8), toFileLevel(200, 8, 16)]).toEqual([40000, 200, 200]);
});

test("lung contrast leaves out quite black and quite white: 100 exposed values from 1000 to 1099", () => {
  const exposed = Array.from({ length: 100 }, (_, i) => 1000 + i);
  const values = new Uint16Array([...exposed, ...Array(500).fill(0), ...Array(300).fill(65535)]);
  // The 2nd of the 100 is 1001; the 90th is 1089.
  expect(lungContrast({ width: 30, height: 30, bits: 16, values })).toEqual({ lower: 1001, upper: 1089 });
});

test("an image of one value, or of none, still has a window", () => {
  const one = lungContrast({ width: 1, height: 1, bits: 8, values: new Uint8Array([7]) });
  expect(one).toEqual({ lower: 7, upper: 8 });
  expect(lungContrast({ width: 1, height: 1, bits: 8, values: new Uint8Array([0]) })).toEqual(fullRange(8));
});

test("a drag to the right widens around the level, a drag down raises the level", () => {
  const wider = dragWindow({ lower: 100, upper: 200 }, [600, 0], 8); // 600 px are the whole range
  expect(wider).toEqual({ lower: 150 - 355 / 2, upper: 150 + 355 / 2 });
  const higher = dragWindow({ lower: 100, upper: 200 }, [0, 60], 8);
  expect(higher).toEqual({ lower: 125.5, upper: 225.5 });
  expect(dragWindow({ lower: 100, upper: 200 }, [-1e9, 0], 8)).toEqual({ lower: 149.5, upper: 150.5 });
});

test("the heatmap's colours run from violet to yellow (matplotlib's viridis to within six steps of 255)", () => {
  expect(colour(0)).toEqual([68, 1, 84]);
  expect(colour(1)).toEqual([253, 231, 37]);
  const wanted = { 0.3: [53, 95, 141], 0.6: [34, 168, 132], 0.8: [122, 209, 81] }; // matplotlib.colormaps["viridis"]
  for (const [value, bytes] of Object.entries(wanted)) {
    colour(Number(value)).forEach((byte, i) => {
      expect(Math.abs(byte - (bytes[i] as number)), `${value}`).toBeLessThanOrEqual(6);
    });
  }
});
