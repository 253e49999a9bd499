import { expect, test } from "vitest";
import { joinFindings, splitDecision } from "./decision";

test("findings are joined and taken apart again, and nothing is no conclusion", () => {
  expect(splitDecision("mass; nodule")).toEqual(["mass", "nodule"]);
  expect(splitDecision("normal")).toEqual(["normal"]);
  expect(joinFindings(splitDecision("mass; nodule"))).toBe("mass; nodule");
  expect(joinFindings([])).toBeNull();
});
