import { expect, test } from "vitest";
import { nameAmong } from "./model-names";

test("the hash separates models that are named alike", () => {
  const make = (identity: string, name: string, version = "1") => ({ identity, name, version });
  const [first, second, other] = [make("0123456789", "lenet"), make("abcdef0123", "lenet"), make("99", "vgg")];
  const all = [first, second, other, make("77", "vgg", "2")];
  expect(all.slice(0, 3).map((one) => nameAmong(one, all))).toEqual([
    "lenet 1 (01234567)",
    "lenet 1 (abcdef01)",
    "vgg 1",
  ]);
  expect(nameAmong(first, [first])).toBe("lenet 1");
});
