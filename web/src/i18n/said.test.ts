import { afterEach, expect, test } from "vitest";
import { language } from "./index";
import { type Speaker, translateSaid } from "./said";

const cards = import.meta.glob<Record<string, unknown>>("../../../src/pneumoscope/builtin/*/card.json", {
  eager: true,
  import: "default",
});

afterEach(() => {
  language.value = "en";
});

test("every sentence of the cards that come with the program has German words", () => {
  language.value = "de";
  const classifiers = Object.values(cards).filter((card) => Array.isArray(card.limits));
  expect(classifiers.length).toBeGreaterThan(1);
  for (const card of classifiers) {
    const meanings = (card.operating_points as { meaning: string }[]).map((point) => point.meaning);
    for (const text of [card.summary, card.intended_use, ...(card.limits as string[]), ...meanings] as string[]) {
      const said = translateSaid("card", text);
      expect(said, text).not.toBeNull();
      expect(said).not.toMatch(/\{| and | of | to |images|not measured/);
    }
  }
});

const facts = import.meta.glob<Record<string, unknown>>(
  "../../../src/pneumoscope/builtin/*/evidence/certificate*.json",
  {
    eager: true,
    import: "default",
  },
);

test("limits and reasons of certificates have German words", () => {
  language.value = "de";
  const limits = Object.values(facts).flatMap((fact) =>
    (fact.engines as { limit: string }[]).map((engine) => engine.limit),
  );
  expect(limits.length).toBeGreaterThan(4);
  for (const text of limits) expect(translateSaid("evidence", text), text).toMatch(/höchstens/);
  expect(translateSaid("evidence", "AUROC difference at least -0.005, at most 1% of decisions changed")).toBe(
    "Unterschied der AUROC mindestens −0,005, höchstens 1 % der Entscheidungen geändert",
  );
  expect(translateSaid("evidence", "no 8-bit bundle was given")).toBe("kein 8-Bit-Modell wurde angegeben");
});

test("what differs in a sentence stays, in the page's numbers and names", () => {
  const weak =
    "On the 1,038 validation images of nih its balanced accuracy is 0.267 [0.2 to 0.3]: among images like those its " +
    "answers are close to guessing.";
  const trained =
    "Trained on nih (61 images), my-2.0 (5 images); never measured at your site. Expect worse there, often much " +
    "worse.";
  const cases: [Speaker, string, string][] = [
    ["card", weak, "Auf den 1.038 Validierungsbildern aus nih ist seine balancierte Genauigkeit 0,267 [0,2 bis 0,3]:"],
    ["card", trained, "Trainiert mit nih (61 Bilder), my-2.0 (5 Bilder);"],
    ["archive", "not asked to keep it: status A700", "nicht um Sicherung gebeten: Status A700"],
    ["archive", "modality is none of DX: CR", "die Modalität ist nicht unter DX: CR"],
    [
      "archive",
      "decision is none of covid-19: the study says nothing",
      "nicht unter covid-19: die Untersuchung sagt nichts",
    ],
    ["archive", "kind report is among report, capture", "die Art report ist unter report, capture"],
    [
      "archive",
      "was asked for a search and ended it with status C001.",
      "wurde um eine Suche gebeten und endete mit Status C001.",
    ],
  ];
  for (const [speaker, text] of cases) expect(translateSaid(speaker, text)).toBeNull(); // English stays as it is
  language.value = "de";
  for (const [speaker, text, said] of cases) expect(translateSaid(speaker, text)).toContain(said);
  expect(translateSaid("archive", "something new")).toBeNull();
});
