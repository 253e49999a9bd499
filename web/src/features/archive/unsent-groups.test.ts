import { expect, test } from "vitest";
import { groupUnsent } from "./unsent-groups";

const result = (study: string, kind: string, destination: string) => ({
  ...{ study, kind, destination, rule: "all", model: "opacity", sop_uid: `2.25.${study}` },
});

test("results are counted by where they would go, and each study is there once", () => {
  const results = [result("1", "report", "a"), result("1", "report", "b"), result("1", "capture", "a")];
  const groups = groupUnsent([...results, result("1", "capture", "a"), result("2", "capture", "a")]);
  expect(groups.map(({ destination, kind, count, studies }) => [destination, kind, count, studies])).toEqual([
    ["a", "report", 1, ["1"]],
    ["b", "report", 1, ["1"]],
    ["a", "capture", 3, ["1", "2"]],
  ]);
});
