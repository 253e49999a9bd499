import { afterEach, expect, test } from "vitest";
import { language, modelLabels } from "./index";
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

const facts = import.meta.glob<Record<string, unknown>>("../../../src/pneumoscope/builtin/*/evidence/*.json", {
  eager: true,
  import: "default",
});

/** Call a function with every estimate in a value. */
function visit(value: unknown, see: (estimate: { method: string; note?: string }) => void): void {
  if (typeof value !== "object" || value === null) return;
  if ("value" in value && "method" in value && typeof value.method === "string") see(value as { method: string });
  for (const inner of Object.values(value)) visit(inner, see);
}

test("every method, note and finding of the data checks of the built-in models has German words", () => {
  language.value = "de";
  const texts = new Set<string>();
  for (const value of [...Object.values(cards), ...Object.values(facts)])
    visit(value, ({ method, note }) => {
      for (const text of [method, note]) if (text) texts.add(text);
    });
  expect(texts.size).toBeGreaterThan(30);
  for (const text of texts) {
    const said = translateSaid("method", text) ?? translateSaid("evidence", text);
    expect(said, text).not.toBeNull();
    expect(said).not.toMatch(/\{| of | the |interval |groups|class |design |images/);
  }
  const sentences = Object.values(cards).flatMap(
    (card) => (card.gate as { findings: { sentence: string }[] } | undefined)?.findings ?? [],
  );
  expect(sentences.length).toBeGreaterThan(8);
  for (const { sentence } of sentences) {
    const said = translateSaid("gate", sentence);
    expect(said, sentence).not.toBeNull();
    expect(said).not.toMatch(/\{| of | the |from |images|children|inferred|Normal |opacity/);
  }
  const metadata =
    "From source, size, compression, borders and what is known of the patient, without the lungs, the label of 40% " +
    "[39%, 41%] of 5,451 images is guessed rightly (labels weigh the same; chance 25%); from the source alone 38% " +
    "[37%, 39%]. A network sees these too.";
  expect(translateSaid("gate", metadata)).toMatch(
    /bei 40\u00a0% \[39\u00a0%; 41\u00a0%\] von 5\.451 Bildern richtig geraten .* allein aus „Quelle“ bei 38/,
  );
});

test("a label inside a sentence has the name that it has elsewhere on the page", () => {
  language.value = "de";
  modelLabels.value = { Плеврит: { en: "Плеврит", de: "Rippenfellentzündung" } };
  const limit =
    "Its AUROC on the validation images may be 0.5 or less, no better than guessing, for atelectasis 0.743 [0.470, " +
    "0.897]; плеврит 0.689 [0.478, 0.837].";
  expect(translateSaid("card", limit)).toContain(
    "Atelektase 0,743 [0,470; 0,897]; Rippenfellentzündung 0,689 [0,478; 0,837]",
  );
  const few =
    "Fewer than 100 groups in the calibration part of Плеврит (12) and Normal (11): " +
    "the figures of these classes are rough.";
  expect(translateSaid("card", few)).toContain("bei Rippenfellentzündung (12) und");
  modelLabels.value = {};
});

test("limits and reasons of certificates have German words", () => {
  language.value = "de";
  const limits = Object.values(facts).flatMap((fact) =>
    ((fact.engines ?? []) as { limit: string }[]).map((engine) => engine.limit),
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
