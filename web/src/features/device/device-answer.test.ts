// What a device says of findings and of photographs is what the server's result would hold.
import { expect, test } from "vitest";
import { type ClassifierCard, describeFindings } from "../../device/bundle";
import type { Answered } from "../../device/messages";
import { wasAsked } from "./device-state";

const point = (threshold: number) => ({ name: "sensitivity-95", threshold });
const band = { low: 0.5, high: 1, rate: 0.9, rate_low: 0.7, rate_high: 0.98, n: 20 };
const card = {
  kind: "multilabel",
  default_operating_point: "sensitivity-95",
  labels: [{ name: "pneumonia" }, { name: "nodule" }],
  findings: [
    {
      name: "pneumonia",
      operating_points: [point(0.4)],
      score_bands: [band],
      prediction_sets: { alpha: 0.1, thresholds: { pneumonia: 0.3, "not pneumonia": 0.3 } },
    },
    { name: "nodule", operating_points: [point(0.7)], score_bands: [], prediction_sets: null },
  ],
} as unknown as ClassifierCard;

test("each finding has its own threshold, band and prediction set, in the order of the card", () => {
  const found = describeFindings(card, { probabilities: [0.6, 0.65], decision: "pneumonia" });
  expect(found).toEqual([
    {
      label: "pneumonia",
      probability: 0.6,
      named: true,
      band,
      prediction_set: { labels: ["pneumonia", "not pneumonia"], coverage: 0.9 },
      operating_point: point(0.4),
    },
    { label: "nodule", probability: 0.65, named: false, band: null, prediction_set: null, operating_point: point(0.7) },
  ]);
});

test("a photograph that is refused was asked of no network", () => {
  const refused = (...codes: string[]) => ({ answers: [{ codes }] }) as unknown as Answered;
  expect(wasAsked(refused("photograph"))).toBe(false);
  expect(wasAsked(refused("photograph-unmeasured"))).toBe(true);
  expect(wasAsked(refused("unlike-training"))).toBe(true);
});
