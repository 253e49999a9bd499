import { expect, test } from "vitest";
import { outlineRuns } from "./outline";

test("the edge of a square of two cells is its eight sides", () => {
  const path = outlineRuns({ side: 4, rows: [[], [1, 3], [1, 3], []] });
  expect(path).toBe("M1 1v1M3 1v1M1 1h2M1 2v1M3 2v1M1 3h2");
});

test("a step between two rows is an edge, what both rows hold is none", () => {
  expect(
    outlineRuns({
      side: 4,
      rows: [
        [0, 2],
        [1, 4],
      ],
    }),
  ).toBe("M0 0v1M2 0v1M0 0h2M1 1v1M4 1v1M0 1h1M2 1h2M1 2h3");
  expect(outlineRuns({ side: 2, rows: [[], []] })).toBe("");
});
