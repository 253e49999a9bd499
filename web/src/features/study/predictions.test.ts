import { expect, test } from "vitest";
import type { Prediction } from "../../api/types";
import { compareAnswers, splitAnswers } from "./predictions";

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
  expect(kind(null, null)).toMatchObject({ answered: 0, silent: 2 });
});
