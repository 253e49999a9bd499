import { expect, test } from "vitest";
import type { Prediction } from "../../api/types";
import { splitAnswers } from "./predictions";

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
