// What the page knows of a bundle: the list of those that can be downloaded, and the parts of the cards that decide.
import type { Card, FindingFacts } from "../api/card";
import { ABSENT, joinFindings, splitDecision } from "../api/decision";
import type { FindingAnswer, Result } from "../api/types";
import type { Population, Thresholds } from "./screening";

/** A file of a bundle; `path` is relative to the page. */
export interface BundleFile {
  path: string;
  bytes: number;
  sha256: string;
}

/** One bundle of the list `bundles/index.json`. */
export interface ListedBundle {
  /** SHA-256 of the card. */
  identity: string;
  role: "classifier" | "gatekeeper" | "lungs";
  name: string;
  version: string;
  labels: string[];
  /** Label -> language -> name on screen, of labels that the app does not bring. */
  label_names?: Record<string, Record<string, string>>;
  audit: string;
  stamps: string[];
  synthetic: boolean;
  card: BundleFile;
  model: BundleFile;
  /** What became known of a classifier after its export. Absent or null: not known here. */
  evidence?: BundleFile | null;
}

/** What became known of a classifier, as the server's pages have it (`ModelDetail.evidence`). */
export type Facts = Record<string, unknown>[];

const NOT_AUDITED = "not audited";

/** Return a listed classifier with what its card says, whose hash is checked, in place of what the list says. */
export function withFacts(bundle: ListedBundle, card: ClassifierCard): ListedBundle {
  const { name, version } = card;
  const audited = bundle.audit !== NOT_AUDITED; // a file beside the card, which nothing here can check
  const stamps = (card.stamps ?? []).filter((stamp) => !(audited && stamp === NOT_AUDITED));
  const labels = card.labels.map((label) => label.name);
  return { ...bundle, name, version, labels, stamps, synthetic: card.synthetic ?? false };
}

export interface BundleList {
  schema_version: number;
  bundles: ListedBundle[];
}

export interface GatekeeperCard {
  answers: Record<string, string>;
  thresholds: Thresholds;
}
export interface LungsCard {
  structures: Record<string, string>;
}
export type ClassifierCard = Card & {
  name: string;
  version: string;
  stamps?: string[];
  synthetic?: boolean;
  population?: Population | null;
};

/** Return the classifiers that can be asked, of the bundles that are kept: none without gatekeeper and lungs. */
export function findUsable(kept: readonly ListedBundle[]): ListedBundle[] {
  const roles = new Set(kept.map((bundle) => bundle.role));
  if (!roles.has("gatekeeper") || !roles.has("lungs")) return [];
  return kept.filter((bundle) => bundle.role === "classifier");
}

/** Return whether a flat border is cut off before a classifier looks. */
export function cutsBorders(card: ClassifierCard): boolean {
  return (card.borders ?? "kept") !== "kept";
}

/** Return whether gatekeeper and lungs look at an image first. */
export function isScreened(card: ClassifierCard): boolean {
  return card.companions?.gatekeeper !== "none";
}

const defaultPoint = (card: Pick<Card, "operating_points">, name: string) =>
  card.operating_points.find((point) => point.name === name);

/** Return the shortest decimal that is the same float32, as the server does: 0.93, not 0.9300000071525574. */
export function shortest(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

/** Return the decision on an image, null: unlike the training images (pneumoscope.bundle.prediction.decide). */
export function decide(card: ClassifierCard, probabilities: readonly number[], ood: number): string | null {
  if (!(ood <= card.refusal.ood_threshold)) return null;
  const names = card.labels.map((label) => label.name);
  if (card.kind === "multilabel") {
    const found = names.filter((name, k) => {
      const facts = card.findings?.find((one) => one.name === name);
      const point = facts && defaultPoint(facts, card.default_operating_point);
      return point !== undefined && (probabilities[k] as number) >= point.threshold;
    });
    return joinFindings(found) ?? "normal";
  }
  const point = defaultPoint(card, card.default_operating_point);
  if (point && (probabilities[0] as number) >= point.threshold) return names[0] as string;
  let best = 1;
  for (let k = 2; k < names.length; k++) if ((probabilities[k] as number) > (probabilities[best] as number)) best = k;
  return names[best] as string;
}

/** Return the band of scores that a score falls in. */
export function findBand(bands: Card["score_bands"], score: number): Record<string, number> | null {
  const band = bands?.find(({ low, high }) => (low <= score && score < high) || (score === high && high === 1));
  return band ? ({ ...band } as unknown as Record<string, number>) : null;
}

/** Return what the server's result holds about the score of a binary or multiclass model. */
export function describeScore(card: ClassifierCard, score: number): Pick<Result, "band" | "operating_point"> {
  const point = defaultPoint(card, card.default_operating_point);
  return {
    band: findBand(card.score_bands, score),
    operating_point: point ? { name: point.name, threshold: point.threshold } : null,
  };
}

/** Return what the server's result holds about each finding of a multi-label model (server.inference.runner). */
export function describeFindings(
  card: ClassifierCard,
  answer: { probabilities: readonly number[]; decision: string | null },
): FindingAnswer[] {
  const named = splitDecision(answer.decision ?? "");
  return card.labels.flatMap(({ name }, k): FindingAnswer[] => {
    const facts = card.findings?.find((one) => one.name === name);
    const point = facts && defaultPoint(facts, card.default_operating_point);
    const probability = answer.probabilities[k] ?? 0;
    if (!point) return [];
    const sets = facts.prediction_sets;
    const pair: Record<string, number> = { [name]: probability, [ABSENT + name]: 1 - probability };
    const members = Object.entries(sets?.thresholds ?? {}).filter(([label, limit]) => (pair[label] ?? 0) >= limit);
    return [
      {
        label: name,
        probability,
        named: named.includes(name),
        band: findBand(facts.score_bands, probability),
        prediction_set: sets ? { labels: members.map(([label]) => label), coverage: 1 - sets.alpha } : null,
        operating_point: { name: point.name, threshold: point.threshold },
      },
    ];
  });
}

export type { FindingFacts };
export { splitDecision };
