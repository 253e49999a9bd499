import { expect, test } from "vitest";
import type { Frame, Point } from "./geometry";
import {
  addPoint,
  beginDrag,
  findGrip,
  isComplete,
  isEmpty,
  type Measurement,
  measureAngle,
  measureRatio,
  movePoint,
  proposeRatio,
} from "./measurements";

const SQUARE: Frame = { width: 100, height: 100, column: 1, row: 1 };
/** Pixels twice as high as they are wide. */
const TALL: Frame = { width: 100, height: 100, column: 1, row: 2 };

test("an angle is measured in mm, not in pixels", () => {
  const corner: Point[] = [
    [10, 0],
    [0, 0],
    [0, 10],
  ];
  expect(measureAngle(SQUARE, corner)).toBeCloseTo(90);
  const diagonal: Point[] = [
    [10, 0],
    [0, 0],
    [10, 10],
  ];
  expect(measureAngle(SQUARE, diagonal)).toBeCloseTo(45);
  expect(measureAngle(TALL, diagonal)).toBeCloseTo((Math.atan(2) * 180) / Math.PI);
  expect(
    measureAngle(SQUARE, [
      [10, 1],
      [0, 0],
      [10, -1],
    ]),
  ).toBeCloseTo((2 * Math.atan(0.1) * 180) / Math.PI);
  expect(
    measureAngle(SQUARE, [
      [-10, 1],
      [0, 0],
      [-10, -1],
    ]),
  ).toBeCloseTo((2 * Math.atan(0.1) * 180) / Math.PI);
});

test("an angle takes two drags and a ratio two lines, each by its ends", () => {
  const drag = (list: Measurement[], kind: Measurement["kind"], from: Point, to: Point) => {
    const begun = beginDrag(list, kind, from);
    return movePoint(begun.list, begun.grip, to);
  };
  let list = drag([], "angle", [0, 0], [10, 0]);
  expect(isComplete(list[0] as Measurement)).toBe(false);
  list = drag(list, "angle", [11, 1], [10, 10]);
  expect(list).toEqual([
    {
      kind: "angle",
      points: [
        [0, 0],
        [10, 0],
        [10, 10],
      ],
    },
  ]);
  list = drag(drag(list, "ratio", [20, 50], [60, 50]), "ratio", [10, 70], [90, 70]);
  expect(list).toHaveLength(2);
  expect(measureRatio(SQUARE, list[1]?.points ?? [])).toBeCloseTo(0.5);
});

test("another tool drops what was begun, and a drag without a way draws nothing", () => {
  const begun = addPoint([], "angle", [1, 1]);
  expect(addPoint(begun, "length", [2, 2])).toEqual([{ kind: "length", points: [[2, 2]] }]);
  const { list } = beginDrag([], "length", [5, 5]);
  expect(isEmpty(list[0] as Measurement)).toBe(true);
});

test("a proposed ratio lies where the outlines are, and is the reader's own once a point was moved", () => {
  const proposed = proposeRatio({ heart: [0.4, 0.7, 0.6], chest: [0.1, 0.9, 0.8] }, SQUARE);
  expect(measureRatio(SQUARE, proposed.points)).toBeCloseTo(0.3 / 0.8);
  const grip = findGrip([proposed], SQUARE, [42, 61], 4);
  expect(grip).toMatchObject({ measurement: 0, point: 0 });
  expect(findGrip([proposed], SQUARE, [50, 50], 4)).toBeNull();
  const [moved] = movePoint([proposed], grip as NonNullable<typeof grip>, [30, 60]);
  expect(moved?.proposed).toBeUndefined();
  expect(measureRatio(SQUARE, moved?.points ?? [])).toBeCloseTo(0.5);
});
