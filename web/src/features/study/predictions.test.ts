import { expect, test } from "vitest";
import type { Prediction } from "../../api/types";
import { compareAnswers, mainLabel, splitAnswers } from "./predictions";

const answer = (id: string, model: string, asked: string, image = "i") => ({ id, model, asked, image }) as Prediction;

test("asking again puts the new answer in the place of the old one, which stays to be seen", () => {
  const predictions = [
    answer("1", "a", "2026-01-01T10:00:00Z"),
    answer("2", "b", "2026-01-01T10:00:00Z"),
    answer("3", "a", "2026-01-01T11:00:00Z"),
    answer("4", "a", "2026-01-01T12:00:00Z", "another"),
  ];
  const { newest, older } = splitAnswers(predictions, "i");
  expect(newest.map((one) => one.id)).toEqual(["3", "2"]);
  expect(older.map((one) => one.id)).toEqual(["1"]);
});

test("several answers agree, differ, or are not given", () => {
  const given = (decision: string | null) =>
    ({ state: "done", model_off: false, result: { decision, refused: decision === null } }) as Prediction;
  const kind = (...decisions: (string | null)[]) => compareAnswers(decisions.map(given));
  expect(kind("normal", "normal")).toEqual({ kind: "none", answered: 2, silent: 0 });
  expect(kind("opacity", "opacity").kind).toBe("pattern");
  expect(kind("opacity", "covid-19").kind).toBe("labels");
  expect(kind("opacity", "normal", null)).toEqual({ kind: "differ", answered: 2, silent: 1 });
  expect(kind("mass; nodule", "nodule; mass").kind).toBe("pattern");
  expect(kind("mass; nodule", "nodule").kind).toBe("labels");
  expect(kind(null, null)).toMatchObject({ answered: 0, silent: 2 });
});

test("an answer is mainly about the finding of the highest score, those named first", () => {
  const finding = (label: string, probability: number, named: boolean) => ({
    ...{ label, probability, named, band: null, prediction_set: null },
    operating_point: { name: "youden", threshold: 0.5 },
  });
  const labels = ["mass", "nodule", "edema"];
  const named = [finding("mass", 0.2, true), finding("nodule", 0.6, false), finding("edema", 0.3, true)];
  expect(mainLabel({ labels, findings: named })).toBe("edema");
  expect(mainLabel({ labels, findings: named.map((one) => ({ ...one, named: false })) })).toBe("nodule");
  expect(mainLabel({ labels })).toBe("mass");
});
