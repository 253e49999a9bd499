// The screening's arithmetic gives what Python gives (scripts/device_golden.py), on pictures that both make by formula.
import { expect, test } from "vitest";
import { bodyPartOf } from "./body-part";
import { findBorder, spread } from "./border";
import { shortest } from "./bundle";
import { measureColour, measureColourWithAlpha } from "./colour";
import { trimFrame, turnBack } from "./frame";
import { measureLayout } from "./layout";
import { isActiveOutside, measureLungShape, Outlines } from "./lungs";
import type { Plane } from "./picture";
import golden from "./python-values.json";
import { resize, rotate } from "./resample";

const NO_BORDER = { top: 0, bottom: 0, left: 0, right: 0 };

function texture(width: number, height: number): Plane {
  const values = new Float32Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) values[y * width + x] = ((x * 7 + y * 13 + ((x * y) % 17)) % 97) / 96;
  return { width, height, values };
}

function paste(on: Plane, part: Plane, left: number, top: number): Plane {
  for (let y = 0; y < part.height; y++)
    on.values.set(part.values.subarray(y * part.width, (y + 1) * part.width), (top + y) * on.width + left);
  return on;
}

function flat(width: number, height: number, grey: number): Plane {
  return { width, height, values: new Float32Array(width * height).fill(grey) };
}

function framed(frame: number[]): Plane {
  const [width, height, top, bottom, left, right, grey] = frame as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return paste(flat(width + left + right, height + top + bottom, grey), texture(width, height), left, top);
}

function ellipses(side: number, shapes: number[][]): Plane {
  const plane = flat(side, side, 0);
  for (const [cx = 0, cy = 0, rx = 1, ry = 1, degrees = 0] of shapes) {
    const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    for (let row = 0; row < side; row++)
      for (let column = 0; column < side; column++) {
        const [x, y] = [(column + 0.5) / side - cx, (row + 0.5) / side - cy];
        const [u, v] = [(x * c + y * s) / rx, (-x * s + y * c) / ry];
        const at = row * side + column;
        plane.values[at] = Math.max(plane.values[at] as number, 1 / (1 + (u * u + v * v) ** 2));
      }
  }
  return plane;
}

/** Compare values with Python's sample of them, whose last number is their sum. */
function expectSample({ values }: Plane, wanted: number[]): void {
  const step = Math.max(1, Math.floor(values.length / 23));
  const own = Array.from(values).filter((_, k) => k % step === 0);
  expect(own.length).toBe(wanted.length - 1);
  own.forEach((value, k) => {
    expect(value).toBeCloseTo(wanted[k] as number, 5);
  });
  expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(wanted.at(-1) as number, 1);
}

const picture = texture(150, 90);

test.each(Object.entries(golden.resize))("resize, %s", (filter, wanted) => {
  expectSample(resize(picture, 48, 48, filter as "box"), wanted);
});

test.each(Object.entries(golden.rotate))("rotate by %s degrees", (degrees, wanted) => {
  expectSample(rotate(picture, Number(degrees)), wanted);
});

test("the share of a picture that has a colour", () => {
  const [width, height] = [130, 110];
  const make = (value: (x: number, y: number) => number) =>
    Uint8Array.from({ length: width * height }, (_, k) => value(k % width, Math.floor(k / width)) % 256);
  const channels = [make((x, y) => x + y), make((x) => 2 * x), make((_, y) => 3 * y)] as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const alpha = make((x, y) => 5 * x + y);
  const own = [measureColour(channels, width, height), measureColourWithAlpha(channels, alpha, width, height)];
  own.forEach(({ colour_share = 0 }, k) => {
    expect(colour_share).toBeCloseTo(golden.colour[k] as number, k === 0 ? 4 : 3);
  });
});

test.each(golden.frames)("border and frame $frame", ({ frame, border, trimmed }) => {
  const { top, bottom, left, right } = findBorder(framed(frame));
  expect([top, bottom, left, right]).toEqual(border);
  const { height, width } = trimFrame(framed(frame));
  expect([height, width]).toEqual(trimmed);
});

test("a map inside a border, spread over the whole picture", () => {
  const border = { top: 10, bottom: 4, left: 6, right: 0 };
  expectSample(spread(texture(7, 7), border, { width: 80, height: 64 }, { width: 28, height: 28 }), golden.spread);
});

test("a picture on an enlarged canvas is turned back by several angles", () => {
  const canvas = paste(flat(180, 160, 0.05), texture(80, 80), 50, 40);
  const own = [...turnBack(canvas)];
  expect(own.map(([degrees, { height, width }]) => [degrees, [height, width]])).toEqual(
    golden.turnBack.map(([degrees, shape]) => [degrees, shape]),
  );
  own.forEach(([, { values }], k) => {
    expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(golden.turnBack[k]?.[2] as number, 1);
  });
});

test.each(Object.entries(golden.layouts))("lungs, %s", (_, { shapes, shape, layout, parts, outside }) => {
  const heart = shapes.length ? [[0.55, 0.6, 0.12, 0.12, 0]] : [];
  const masks = new Float32Array(2 * 96 * 96);
  masks.set(ellipses(96, shapes).values);
  masks.set(ellipses(96, heart).values, 96 * 96);
  const outlines = new Outlines(masks, ["lungs", "heart"], { width: 240, height: 300 }, NO_BORDER);
  const own = measureLungShape(outlines.square("lungs"));
  for (const [name, value] of Object.entries(shape)) expect(own[name as keyof typeof own], name).toBeCloseTo(value, 5);
  const measured = Object.values(measureLayout(texture(240, 300), outlines, own));
  measured.forEach((value, k) => {
    expect(value, `layout ${k}`).toBeCloseTo(layout[k] as number, 3);
  });
  expect(outlines.selectParts("lungs").values.reduce((sum, value) => sum + value, 0)).toBe(parts);
  const heats = [ellipses(7, [[0.3, 0.4, 0.2, 0.2, 0]]), ellipses(7, [[0.95, 0.95, 0.2, 0.2, 0]])];
  expect(heats.map((heat) => isActiveOutside(heat, outlines))).toEqual(outside);
});

test.each(Object.entries(golden.terms))("body part %j", (term, part) => {
  expect(bodyPartOf(term)).toBe(part);
});

test("scores are the shortest decimals of their float32", () => {
  expect(shortest(Math.fround(0.93))).toBe(0.93);
  expect(shortest(Math.fround(0.1))).toBe(0.1);
  expect(shortest(0)).toBe(0);
});
