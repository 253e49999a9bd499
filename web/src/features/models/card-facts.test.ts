import { expect, test } from "vitest";
import type { Card } from "../../api/card";
import type { ModelDetail } from "../../api/types";
import { formatEstimate, formatShare } from "../../components/estimate";
import {
  arrangeChanges,
  describeLater,
  listCertificates,
  listOtherFacts,
  selectHeadline,
  selectShown,
  splitStandards,
} from "./card-facts";

test("a reference standard is taken apart at its sources, not at every semicolon", () => {
  const label = {
    name: "pneumonia",
    members: ["pneumonia"],
    images: {},
    reference_standard: "kaggle: graded by two physicians; kind from the file name; nih: text-mined: by a program",
  };
  expect(splitStandards(label, ["kaggle", "nih", "radiography"])).toEqual([
    { source: "kaggle", standard: "graded by two physicians; kind from the file name" },
    { source: "nih", standard: "text-mined: by a program" },
  ]);
  expect(splitStandards(label, [])).toEqual([{ source: "", standard: label.reference_standard }]);
});

test("no figure is written without its interval, or without saying that it has none", () => {
  expect(formatEstimate({ value: 0.9385, low: 0.9107, high: 0.9588 })).toBe("0.939 [0.911, 0.959]");
  expect(formatEstimate({ value: 0.8, low: null, high: null })).toBe("0.800 [interval not estimable]");
  expect(formatEstimate({ value: null })).toBe("Not estimable");
});

test("a share that is not all never reads as all", () => {
  expect(formatShare({ value: 0.996, low: 0.974, high: 0.999 })).toBe("99.6% [97.4, 99.9]");
  expect(formatShare({ value: 0.9996, low: 0.99, high: 1 })).toBe("99.96% [99.00, 100.00]");
  expect(formatShare({ value: 0.0004, low: 0, high: 0.2 })).toBe("0.04% [0.00, 20.00]");
  expect(formatShare({ value: 0.45, low: 0.32, high: 0.6 })).toBe("45% [32, 60]");
  expect(formatShare({ value: 1, low: 0.8, high: 1 })).toBe("100% [80, 100]");
});

test("the figures that are quoted are those at the card's own operating point", () => {
  const card = { default_operating_point: "youden", labels: [{ name: "covid-19" }] } as unknown as Card;
  const metrics = {
    "youden/sensitivity": { value: 1 },
    "sensitivity-95/sensitivity": { value: 0 },
    accuracy: { value: 1 },
  };
  expect(selectHeadline(card, metrics).map(([key]) => key)).toEqual(["youden/sensitivity", "accuracy"]);
});

test("a finding has no figures of a decision by the largest probability, which it doesn't take", () => {
  const card = { kind: "multilabel", operating_points: [{ name: "youden" }] } as unknown as Card;
  const metrics = { accuracy: { value: 0.9 }, "mass/recall": { value: 0 }, "mass/auroc": { value: 0.8 } };
  const atPoint = { "youden/specificity": { value: 0.7 } };
  expect(Object.keys(selectShown(card, { ...metrics, ...atPoint }))).toEqual(["mass/auroc", "youden/specificity"]);
  expect(selectShown({ ...card, kind: "binary" }, metrics)).toEqual(metrics);
});

test("changes to a recipe are a line, or a list where they are too long for one", () => {
  expect(arrangeChanges()).toEqual({ line: "", list: [] });
  expect(arrangeChanges(["training.epochs=2", "optimizer.lr=0.1"]).line).toBe("training.epochs=2; optimizer.lr=0.1");
  const long = ["nodule", "mass", "hernia"].map((name) => `finding ${name} left out, too few: ${"a ".repeat(40)}`);
  expect(arrangeChanges(long)).toEqual({ line: "", list: long });
});

test("certificates are read by their time, and one that a later one contradicts says so", () => {
  const make = (time: string, passed: boolean) => ({ kind: "certificate", time, passed, engines: [] });
  const old = make("2026-11-30T00:15:44+00:00", false);
  const newer = make("2026-11-30T07:34:03+00:00", true);
  const model = { evidence: [newer, { kind: "audit" }, old] } as unknown as ModelDetail;
  const all = listCertificates(model);
  expect(all).toEqual([old, newer]);
  expect(all.map((one) => describeLater(one, all)?.time ?? null)).toEqual([newer.time, null]);
  expect(listOtherFacts(model)).toEqual([{ kind: "audit" }]);
});
