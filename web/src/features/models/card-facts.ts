// Reads a model's card and its evidence for the page. Evidence files may hold more than is read here.
import type { Card, Estimate, Label } from "../../api/card";
import type { ModelDetail } from "../../api/types";

/** One opening of test images with a model. */
interface Opening {
  time: string;
  part: string;
  images: number;
  earlier_openings: number;
  group_kind: string;
  headline: Record<string, Estimate>;
  command: string;
  note?: string;
}

/**
 * Whether what became known of a model since its export is known here. It is not where its evidence was altered, nor on
 * a device whose download did not bring it.
 */
export function knowsEvidence(model: ModelDetail): boolean {
  return model.audit !== "unreadable" && (model.evidence as unknown) != null;
}

/** Return the facts about a model, the oldest first. */
function listFacts(model: ModelDetail): Record<string, unknown>[] {
  const timeOf = (fact: Record<string, unknown>) => (typeof fact.time === "string" ? fact.time : "");
  return [...(model.evidence ?? [])].sort((one, other) => timeOf(one).localeCompare(timeOf(other)));
}

export function listOpenings(model: ModelDetail): Opening[] {
  return filterEvidence(model, "opening") as unknown as Opening[];
}

function filterEvidence(model: ModelDetail, kind: string): Record<string, unknown>[] {
  return listFacts(model).filter((fact) => fact.kind === kind);
}

/** How far the exported graph is from the network that was trained: the largest difference of each output. */
export function findParity(model: ModelDetail): { images: number; largest: Record<string, number> } | null {
  const fact = listFacts(model).find((one) => "largest difference" in one);
  if (!fact) return null;
  return { images: Number(fact.images), largest: fact["largest difference"] as Record<string, number> };
}

/** One engine's distance from ONNX Runtime with float32 (pneumoscope.bundle.evidence.EngineFigures). */
interface EngineFigures {
  engine: string;
  images: number;
  largest: number;
  flipped: number;
  at_threshold?: number;
  auroc_difference: Estimate;
  limit: string;
  holds: boolean;
}

export interface Certificate {
  time: string;
  passed: boolean;
  part: string;
  images: number;
  engines: EngineFigures[];
  /** Engine -> why it did not run. */
  not_run?: Record<string, string>;
}

const isCertificate = (fact: Record<string, unknown>) => fact.kind === "certificate" && Array.isArray(fact.engines);

/** Return the certificates of a model, the oldest first. */
export function listCertificates(model: ModelDetail): Certificate[] {
  return listFacts(model).filter(isCertificate) as unknown as Certificate[];
}

/** Return the newest certificate after this one if it came to another verdict; null if there is none. */
export function describeLater(certificate: Certificate, all: readonly Certificate[]): Certificate | null {
  const newest = all.at(-1);
  return newest && newest !== certificate && newest.passed !== certificate.passed ? newest : null;
}

/** Return the facts that no other function here reads; the page shows them unformatted. */
export function listOtherFacts(model: ModelDetail): Record<string, unknown>[] {
  return listFacts(model).filter(
    (fact) => fact.kind !== "opening" && !("largest difference" in fact) && !isCertificate(fact),
  );
}

/**
 * Split a label's reference standard by source: "a: by x; by y; b: by z" gives a: "by x; by y", b: "by z".
 * Only a name of one of the model's own sources starts a new part.
 */
export function splitStandards(label: Label, sources: string[]): { source: string; standard: string }[] {
  const names = sources.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  if (!names) return [{ source: "", standard: label.reference_standard }];
  const begin = new RegExp(`(?:^|; )(${names}): `, "g");
  const matches = [...label.reference_standard.matchAll(begin)];
  if (matches.length === 0) return [{ source: "", standard: label.reference_standard }];
  return matches.map((match, index) => ({
    source: match[1] ?? "",
    standard: label.reference_standard.slice(
      (match.index ?? 0) + match[0].length,
      matches[index + 1]?.index ?? label.reference_standard.length,
    ),
  }));
}

const DECIDED_BY_LARGEST = ["accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1"];

/** Whether a figure takes the class with the largest probability as the decision (pneumoscope.reporting.formatting). */
function isDecidedByLargest(card: Card, key: string): boolean {
  const [owner = "", name = owner] = key.split("/");
  return DECIDED_BY_LARGEST.includes(name) && !card.operating_points.some((point) => point.name === owner);
}

/** Return the figures that hold for a card's decisions: a finding is decided by its own threshold. */
export function selectShown(card: Card, metrics: Record<string, Estimate>): Record<string, Estimate> {
  if (card.kind !== "multilabel") return metrics;
  return Object.fromEntries(Object.entries(metrics).filter(([key]) => !isDecidedByLargest(card, key)));
}

/** Return the figures that are always quoted, in reading order. */
export function selectHeadline(card: Card, all: Record<string, Estimate>): [string, Estimate][] {
  const metrics = selectShown(card, all);
  const point = card.default_operating_point;
  const keys = [
    `${point}/sensitivity`,
    `${point}/specificity`,
    `${card.labels[0]?.name}/auroc`,
    "balanced_accuracy",
    "accuracy",
  ];
  return keys.flatMap((key) => (metrics[key] ? [[key, metrics[key]] as [string, Estimate]] : []));
}

const LONGEST_CHANGES = 160;

/** Return the changes to a recipe as a line and as a list; only one of them is not empty. */
export function arrangeChanges(changes: readonly string[] = []): { line: string; list: readonly string[] } {
  const line = changes.join("; ");
  return line.length > LONGEST_CHANGES ? { line: "", list: changes } : { line, list: [] };
}
