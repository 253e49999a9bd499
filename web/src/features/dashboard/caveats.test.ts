import { expect, test } from "vitest";
import { listCaveats } from "./caveats";
import type { SiteFigures } from "./types";

const figures = (verified: number, more = {}) =>
  ({
    counts: { studies: 4, refused: 0, aided: 0, readers: 1, ...more },
    verification: { verified, conflicting: [], after_answer: 0 },
  }) as unknown as SiteFigures;

test("the share with a reference standard comes first, and nothing is said of what did not happen", () => {
  expect(listCaveats(figures(0)).map(({ key }) => key)).toEqual(["dash.caveat.none", "dash.caveat.readers"]);
  expect(listCaveats(figures(4))[0]?.key).toBe("dash.caveat.all");
  expect(listCaveats(figures(3, { refused: 2 }))).toEqual([
    { key: "dash.caveat.some", values: { count: 3, studies: 4 } },
    { key: "dash.caveat.refused", values: { count: 2 } },
    { key: "dash.caveat.readers", values: { count: 1 } },
  ]);
});
