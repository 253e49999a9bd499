import { expect, test } from "vitest";
import { findBorder } from "./border";
import type { ClassifierCard } from "./bundle";
import type { Graph } from "./graph";
import type { Radiograph } from "./picture";
import { classify, Screener } from "./runtime";
import type { Companions } from "./screening";

const run = (): never => {
  throw new Error("a graph ran");
};
const companions = { thresholds: {}, answer: async () => run(), outline: async () => run() } as unknown as Companions;
const graph = { inputs: ["image"], beside: true, run } as unknown as Graph;

test("no graph runs on a strip", async () => {
  const strip: Radiograph = { width: 30_000, height: 2, values: new Float32Array(60_000), format: "png", facts: {} };
  const card = { labels: [], borders: "cut" } as unknown as ClassifierCard;
  const classifier = { identity: "0", card, graph };
  const outcome = await classify(classifier, strip, new Screener(companions, strip));
  expect([outcome.refused, outcome.codes]).toEqual([true, ["sides"]]);
  await expect(classify(classifier, strip, new Screener(companions, strip), true)).rejects.toMatchObject({
    code: "sides",
  });
  expect(findBorder(strip)).toEqual({ top: 0, bottom: 0, left: 0, right: 0 });
});
