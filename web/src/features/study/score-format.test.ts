import { expect, test } from "vitest";
import {
  chooseDenominator,
  chooseScoreFormat,
  findPredictionSet,
  findUnsuitability,
  holdsEveryScore,
  naturalFrequency,
  parseBand,
  parsePercent,
} from "./score-format";

const band = { low: 0.1, high: 0.9, rate: 0.41, rate_low: 0.33, rate_high: 0.49, n: 120, groups: 101 };

test("a band is taken whole or not at all", () => {
  expect(parseBand(band)?.rate).toBe(0.41);
  expect(parseBand({ ...band, rate_high: null })).toBeNull();
  expect(parseBand(null)).toBeNull();
});

test("one band of all scores says nothing of a score", () => {
  expect(holdsEveryScore({ ...band, low: 0, high: 1 })).toBe(true);
  for (const some of [band, { ...band, low: 0 }, { ...band, high: 1 }]) expect(holdsEveryScore(some)).toBe(false);
});

test("a rare share is counted among more, never rounded to none", () => {
  expect(naturalFrequency(0.41)).toEqual({ count: 41, of: 100 });
  expect(naturalFrequency(0.004)).toEqual({ count: 4, of: 1000 });
  expect(naturalFrequency(0.9996)).toEqual({ count: 9996, of: 10_000 });
  expect(naturalFrequency(0)).toEqual({ count: 0, of: 100 });
  expect(naturalFrequency(1)).toEqual({ count: 100, of: 100 });
  expect(chooseDenominator(0.41, 0.002)).toBe(1000);
});

test("a score never looks certain, nor equal to the threshold it misses", () => {
  expect(chooseScoreFormat(0.9999)).toEqual({ sign: ">", value: 0.99, decimals: 2 });
  expect(chooseScoreFormat(0.001)).toEqual({ sign: "<", value: 0.01, decimals: 2 });
  expect(chooseScoreFormat(1)).toEqual({ sign: "", value: 1, decimals: 2 });
  expect(chooseScoreFormat(0.1247, 0.1248).decimals).toBe(4);
  expect(chooseScoreFormat(0.62, 0.12)).toEqual({ sign: "", value: 0.62, decimals: 2 });
});

test("the set holds each label that reaches its own threshold", () => {
  const p = { "covid-19": 0.5, normal: 0.3, pneumonia: 0.2 };
  expect(findPredictionSet(p, { "covid-19": 0.5, normal: 0.4, pneumonia: 0.1 })).toEqual(["covid-19", "pneumonia"]);
  expect(findPredictionSet(p, { "covid-19": 0.9, normal: 0.9, pneumonia: 0.9 })).toEqual([]);
});

test("a pre-test probability lies strictly between 0 and 1, with comma or point", () => {
  expect(parsePercent("12,5")).toBeCloseTo(0.125);
  expect(parsePercent(" 0.2 ")).toBeCloseTo(0.002);
  for (const wrong of ["", " ", "0", "100", "-3", "ten"]) expect(parsePercent(wrong), wrong).toBeNull();
});

test("a leg or a lateral view is said to be none of what the models know; silence is no reason", () => {
  expect(findUnsuitability({ body_part: "EXTREMITY", view: "AP" })).toBe("body-part");
  expect(findUnsuitability({ body_part: "CHEST", view: "LL" })).toBe("lateral");
  for (const fit of [{}, { body_part: "CHEST", view: "PA" }, { view: "AP Supine" }, { body_part: "Thorax" }])
    expect(findUnsuitability(fit)).toBeNull();
});
