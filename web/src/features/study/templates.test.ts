import { expect, test } from "vitest";
import { addTemplate, readTemplates } from "./templates";

test("a template stands once in a text, and a damaged store holds none", () => {
  expect(addTemplate(" ", "Clear.")).toBe("Clear.");
  expect(addTemplate("Heart normal.\n", "Clear.")).toBe("Heart normal.\nClear.");
  expect(addTemplate("Clear.", "Clear.")).toBe("Clear.");
  expect(readTemplates('["a", 1]')).toEqual(["a"]);
  expect(readTemplates("{")).toEqual([]);
  expect(readTemplates(null)).toEqual([]);
});
