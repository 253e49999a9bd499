import { afterEach, expect, test } from "vitest";
import { PROBLEM_TYPE_PREFIX, Problem } from "../api/client";
import { language } from "../i18n";
import de from "../i18n/de.json";
import en from "../i18n/en.json";
import { problemText } from "./problem";

/** docs/operations/server.md, which lists the codes. */
const [docs = ""] = Object.values(
  import.meta.glob<string>("../../../docs/operations/server.md", { query: "?raw", import: "default", eager: true }),
);

/** The message keys for the codes: one for each row `| code | statuses, or file | values | when |` and its reasons. */
function keysOf(table: string): string[] {
  return [...table.matchAll(/^\| `([a-z-]+)` \| ([^|]+) \| ([^|]*)\|/gm)].flatMap(
    ([, code, where = "", values = ""]) => {
      const reasons =
        values
          .match(/`reason`: ([a-z, -]+)/)?.[1]
          ?.trim()
          .split(", ") ?? [];
      // What is a file's problem and a request's alike is said of the file.
      const groups = [...(where.includes("file") ? ["file"] : []), ...(/^\d/.test(where) ? ["problem"] : [])];
      return groups.flatMap((group) =>
        [code, ...reasons.map((reason) => `${code}.${reason}`)].map((one) => `${group}.${one}`),
      );
    },
  );
}

afterEach(() => {
  language.value = "en";
});

test("every code that the server's page lists has its message", () => {
  const section = docs.split(/^## /m).find((part) => part.startsWith("Codes of refusals"));
  const keys = keysOf(section ?? "");
  expect(keys.length).toBeGreaterThan(30);
  for (const catalogue of [en, de]) expect(Object.keys(catalogue)).toEqual(expect.arrayContaining(keys));
});

function problem(code: string, values = {}): Problem {
  return new Problem(404, "this thing", "is refused.", "", { type: `${PROBLEM_TYPE_PREFIX}${code}`, values });
}

test("a refusal is said in the page's language, by its kind where that has a message, its values filled in", () => {
  language.value = "de";
  const said = (code: string, values = {}) => problemText(problem(code, values));
  expect(said("not-here", { kind: "study" })).toEqual({ text: de["problem.not-here.study"], lang: undefined });
  expect(said("not-here", { kind: "file" })).toEqual({ text: de["problem.not-here"], lang: undefined });
  expect(said("too-often", { seconds: 3 }).text).toContain("Warten Sie 3 s");
  const file = { key: "file.too-many-pixels", values: { pixels: 2e8, limit: 1e8 }, message: "" };
  expect(problemText(file).text).toContain("200.000.000 Pixel");
});

test("a refusal without a message, or without a value for it, stays in the server's English", () => {
  language.value = "de";
  const english = { text: "This thing is refused.", lang: "en" };
  expect(problemText(problem("no-such-code"))).toEqual(english);
  expect(problemText(problem("too-often"))).toEqual(english);
  expect(problemText(new Problem(404, "this thing", "is refused.", "", { type: "about:blank" }))).toEqual(english);
});

test("what answers in the server's place is put into words by its status", () => {
  expect(problemText(new Problem(413, "", "Payload Too Large", "")).text).toBe(en["problem.large"]);
  expect(problemText(new Problem(418, "", "I'm a teapot", ""))).toEqual({ text: "I'm a teapot", lang: "en" });
});
