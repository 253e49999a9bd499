import { expect, test } from "vitest";
import { probePixel, toGrey } from "./magnifier";

test("the probe reads the stored pixel under a point, and nothing beside the image", () => {
  const pixels = { width: 2, height: 2, bits: 16 as const, values: new Uint16Array([1, 2, 3, 40_000]) };
  expect(probePixel(pixels, [1.9, 1.2])).toBe(40_000);
  expect(probePixel(pixels, [0, 1])).toBe(3);
  expect(probePixel(pixels, [2, 0])).toBeNull();
  expect(probePixel(pixels, [-0.1, 0])).toBeNull();
});

test("a grey follows the window, and inverting turns it around", () => {
  const window = { lower: 100, upper: 200 };
  expect([50, 150, 300].map((value) => toGrey(value, window, false))).toEqual([0, 128, 255]);
  expect(toGrey(50, window, true)).toBe(255);
});
