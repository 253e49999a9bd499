import { expect, test } from "vitest";
import type { ClassifierCard } from "../../device/bundle";
import { writeScore } from "./history-score";

const points = [{ name: "sensitivity-95", threshold: 0.1248 }];
const card = (findings?: object[]) =>
  ({
    labels: [{ name: "covid-19" }],
    default_operating_point: "sensitivity-95",
    operating_points: findings ? [] : points,
    score_bands: [],
    findings,
  }) as unknown as ClassifierCard;

test("a score in the history never looks certain, nor equal to the threshold that it misses", () => {
  expect(writeScore({ probabilities: [0.001, 0.999] })).toBe("<0.01");
  expect(writeScore({ probabilities: [0.62] })).toBe("0.62");
  expect(writeScore({ probabilities: [0.1247] }, card())).toBe("0.1247");
  const findings = [
    { name: "nodule", operating_points: [{ name: "sensitivity-95", threshold: 0.62 }] },
    { name: "covid-19", operating_points: points },
  ];
  expect(writeScore({ probabilities: [0.1247] }, card(findings))).toBe("0.1247");
  expect(writeScore({ probabilities: [0.6201] }, card(findings))).toBe("0.62");
});
