import { expect, test } from "vitest";
import de from "./de.json";
import en from "./en.json";

const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map((found) => found[0]).sort();

test("every message exists in every language, with the same places to fill in", () => {
  expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) expect(places(de[key as keyof typeof de]), key).toEqual(places(text));
});
