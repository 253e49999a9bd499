import { expect, test } from "vitest";
import de from "./de.json";
import en from "./en.json";

const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map((found) => found[0]).sort();

test("every message exists in every language, with the same places to fill in", () => {
  expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) expect(places(de[key as keyof typeof de]), key).toEqual(places(text));
});

const sources = Object.entries(
  import.meta.glob<string>("../**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true }),
)
  .filter(([path]) => !path.endsWith(".test.ts"))
  .map(([, text]) => text)
  .join("\n");
const found = (pattern: RegExp) => [...sources.matchAll(pattern)].map(([, ...groups]) => groups as string[]);

/** Prefixes of built keys, as `read.lock-${stage}` or by translateTerm("state", …): such messages are used. */
const built = [
  ...found(/`([a-z]\w*\.[^`$]*\$\{[^}]*\}[^`$]*)`/g).map(([template = ""]) => template.replace(/\{.*\}/, "")),
  ...found(/\btranslateTerm\("([^"]+)"/g).map(([group]) => `${group}.$`),
];

/** For prefixes that other messages share: the only values that the built key can have. */
const NARROW: Record<string, string[]> = {
  "nav.$": ["worklist", "models", "dashboard", "archive", "account"],
  "work.up.$": ["waiting", "sending", "accepted", "duplicate", "refused", "failed"],
  "model.switch-$": ["on", "off"],
  "whatif.$": ["exclude", "include"],
};

function uses(template: string, key: string): boolean {
  const [before = "", after = ""] = template.split("$");
  if (!key.startsWith(before) || !key.endsWith(after) || key.length <= before.length + after.length) return false;
  const middle = key.slice(before.length, key.length - after.length);
  return NARROW[template]?.includes(middle) ?? true;
}

test("every message is used, and every exception to that rule is needed", () => {
  const written = (key: string) => ['"', "`"].some((quote) => sources.includes(`${quote}${key}${quote}`));
  const used = (key: string) => written(key) || built.some((template) => uses(template, key));
  // "KEY.one" is the singular of "KEY"
  const unused = Object.keys(en).filter((key) => !used(key) && !(key.endsWith(".one") && used(key.slice(0, -4))));
  expect(unused).toEqual([]);
  expect(Object.keys(NARROW).filter((template) => !built.includes(template))).toEqual([]);
  const idle = built.filter((template) => !Object.keys(en).some((key) => uses(template, key)));
  expect(idle).toEqual([]);
});

test("an imaging study has one German name", () => {
  // "Studie" is left for a research study, of which the pages do not speak.
  expect(Object.values(de).filter((text) => /studie/i.test(text.replaceAll(/\{\w+\}/g, "")))).toEqual([]);
  expect(de["archive.study"]).toBe("Untersuchung");
});
