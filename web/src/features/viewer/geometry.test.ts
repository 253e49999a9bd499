// Worked by hand on an image of 4 columns and 2 rows.
import { expect, test } from "vitest";
import {
  type Affine,
  affineFrom,
  apply,
  chooseScaleBar,
  type Frame,
  findSides,
  fitView,
  gridToAffine,
  invertAffine,
  measureLength,
  type Point,
  panBy,
  type Turn,
  turnBy,
  viewToAffine,
  zoomAt,
} from "./geometry";

const frame: Frame = { width: 4, height: 2, column: 1, row: 1 };
const box = { width: 100, height: 100 };
const corners: Point[] = [
  [0, 0],
  [4, 0],
  [4, 2],
  [0, 2],
];
const close = (got: readonly number[], wanted: readonly number[]) => {
  expect(got.length).toBe(wanted.length);
  got.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted[i] as number, 9);
  });
};

// 4 pixels across 100 px: 25 px a pixel, so 50 px of black above and below, shared in halves. Turned by 90 degrees
// clockwise the first column (the patient's right) lies at the top, its head end to the right.
const CORNERS: Record<Turn, Point[]> = {
  0: [
    [0, 25],
    [100, 25],
    [100, 75],
    [0, 75],
  ],
  90: [
    [75, 0],
    [75, 100],
    [25, 100],
    [25, 0],
  ],
  180: [
    [100, 75],
    [0, 75],
    [0, 25],
    [100, 25],
  ],
  270: [
    [25, 100],
    [25, 0],
    [75, 0],
    [75, 100],
  ],
};

test.each([0, 90, 180, 270] as const)(
  "a whole image turned by %i degrees fills the viewport, corner by corner",
  (turn) => {
    const affine = viewToAffine(fitView(frame, box, turn), frame, box);
    corners.forEach((corner, i) => {
      close(apply(affine, corner), CORNERS[turn][i] as Point);
    });
  },
);

test("a turned image is as large as its longer side allows", () => {
  expect(fitView(frame, { width: 50, height: 100 }, 90).scale).toBe(25);
  expect(fitView(frame, { width: 50, height: 100 }, 0).scale).toBe(12.5);
});

test("pixels that are twice as wide as high are drawn so", () => {
  const wide: Frame = { width: 2, height: 2, column: 1, row: 0.5 };
  const affine = viewToAffine(fitView(wide, box, 0), wide, box);
  close(apply(affine, [0, 0]), [0, 25]);
  close(apply(affine, [2, 2]), [100, 75]);
});

test("the map from three corners is the map that brought them there", () => {
  for (const turn of [0, 90, 180, 270] as const) {
    const affine = viewToAffine({ scale: 7, centre: [1.5, 0.25], turn }, frame, box);
    const [origin, right, , below] = corners.map((corner) => apply(affine, corner)) as [Point, Point, Point, Point];
    close(affineFrom(frame, origin, right, below), affine);
  }
});

test("inverse", () => {
  const affine: Affine = [2, 1, -1, 3, 5, 7]; // (x, y) = (1, 2) -> (2 - 2 + 5, 1 + 6 + 7) = (5, 14)
  close(apply(affine, [1, 2]), [5, 14]);
  close(apply(invertAffine(affine), [5, 14]), [1, 2]);
  expect(() => invertAffine([1, 2, 2, 4, 0, 0])).toThrow(RangeError);
});

test("a grid of cells covers the image: its corners are the image's, turned with it", () => {
  for (const turn of [0, 90, 180, 270] as const) {
    const affine = viewToAffine(fitView(frame, box, turn), frame, box);
    const grid = gridToAffine(affine, frame, 7, 5);
    const cells: Point[] = [
      [0, 0],
      [7, 0],
      [7, 5],
      [0, 5],
    ];
    cells.forEach((cell, i) => {
      close(apply(grid, cell), CORNERS[turn][i] as Point);
    });
    close(apply(grid, [3.5, 2.5]), [50, 50]);
  }
});

test("zooming keeps what is under the pointer", () => {
  for (const turn of [0, 90, 180, 270] as const) {
    const view = fitView(frame, box, turn);
    const at: Point = [60, 40];
    const under = apply(invertAffine(viewToAffine(view, frame, box)), at);
    const nearer = zoomAt(view, frame, box, 1.5, at);
    expect(nearer.scale).toBeCloseTo(1.5 * view.scale);
    close(apply(viewToAffine(nearer, frame, box), under), at);
  }
});

test("zoom has limits: 64 px an image pixel, a fifth of the size that fits", () => {
  expect(zoomAt(fitView(frame, box, 0), frame, box, 1e6, [50, 50]).scale).toBe(64);
  expect(zoomAt(fitView(frame, box, 0), frame, box, 1e-6, [50, 50]).scale).toBe(5);
});

test("panning moves the picture with the pointer, however it is turned, and never loses it", () => {
  for (const turn of [0, 90, 180, 270] as const) {
    const view = { scale: 100, centre: [2, 1], turn } as const;
    const moved = panBy(view, frame, [10, -20]);
    const [x, y] = apply(viewToAffine(view, frame, box), [2, 1]);
    close(apply(viewToAffine(moved, frame, box), [2, 1]), [x + 10, y - 20]);
    close(panBy(view, frame, [-1e6, -1e6]).centre, { 0: [4, 2], 90: [4, 0], 180: [0, 0], 270: [0, 2] }[turn]);
  }
});

test("four quarter turns are none", () => {
  const view = fitView(frame, box, 0);
  expect(turnBy(view, 270).turn).toBe(270);
  expect([90, 90, 90, 90].reduce((turned) => turnBy(turned, 90), view)).toEqual(view);
});

test("a length takes each direction by its own spacing", () => {
  const anisotropic: Frame = { width: 100, height: 100, column: 0.3, row: 0.2 };
  expect(
    measureLength(anisotropic, [
      [10, 10],
      [20, 30],
    ]),
  ).toBeCloseTo(5, 12); // 10 x 0.3 = 3 and 20 x 0.2 = 4
  expect(
    measureLength(anisotropic, [
      [10, 10],
      [20, 10],
    ]),
  ).toBeCloseTo(3, 12);
});

test("the scale bar is the longest round one that fits", () => {
  expect(chooseScaleBar(2, 130)).toBe(50); // 65 mm fit
  expect(chooseScaleBar(2, 60)).toBe(20); // 30 mm fit
  expect(chooseScaleBar(2, 30)).toBe(10); // 15 mm fit
  expect(chooseScaleBar(100, 130)).toBe(1);
});

test("the patient's right stands left, and goes round with the image", () => {
  expect(findSides(0)).toEqual({ right: "left", left: "right" });
  expect(findSides(90)).toEqual({ right: "top", left: "bottom" });
  expect(findSides(180)).toEqual({ right: "right", left: "left" });
  expect(findSides(270)).toEqual({ right: "bottom", left: "top" });
});
