import { expect, test } from "vitest";
import { fitView } from "./geometry";
import { carryView, carryWindow } from "./linked";

test("linked panes show the same part of images of different size and depth", () => {
  const from = { frame: { width: 100, height: 100, column: 1, row: 1 }, box: { width: 200, height: 200 } };
  const to = { frame: { width: 400, height: 400, column: 1, row: 1 }, box: { width: 200, height: 200 } };
  const fitted = fitView(from.frame, from.box, 90);
  const view = carryView({ ...fitted, scale: 3 * fitted.scale, centre: [25, 50] }, from, to);
  expect(view.centre).toEqual([100, 200]);
  expect(view.turn).toBe(90);
  expect(view.scale).toBeCloseTo(3 * fitView(to.frame, to.box, 90).scale);
  expect(carryWindow({ lower: 0, upper: 255 }, 8, 16)).toEqual({ lower: 0, upper: 65_535 });
});
