import { expect, test } from "vitest";
import { listModelOptions } from "./model-options";

test("a hash separates models that are named alike, and one that is gone has its identifier", () => {
  const model = (id: string, name: string | null, answers: number) => ({
    id,
    name,
    version: name && "1",
    answers,
  });
  const models = [
    model("0123456789ab", "lenet", 4),
    model("abcdef012345", "lenet", 1),
    model("99999999aaaa", "vgg", 2),
    model("77777777bbbb", null, 3),
  ];
  expect(listModelOptions(models)).toEqual([
    { id: "0123456789ab", text: "lenet 1 (01234567) (4)" },
    { id: "abcdef012345", text: "lenet 1 (abcdef01) (1)" },
    { id: "99999999aaaa", text: "vgg 1 (2)" },
    { id: "77777777bbbb", text: "77777777bbbb (3)" },
  ]);
});
