// A kept bundle in the form that the pages of the server have, so that their parts can show it.
import type { ModelDetail } from "../../api/types";
import type { ClassifierCard, ListedBundle } from "../../device/bundle";

export function modelOf(bundle: ListedBundle, card: ClassifierCard): ModelDetail {
  return {
    id: bundle.identity,
    identity: bundle.identity,
    name: bundle.name,
    version: bundle.version,
    summary: card.summary,
    kind: card.kind,
    labels: card.labels.map((label) => label.name),
    label_names: {},
    not_looked_for: card.not_looked_for,
    synthetic: bundle.synthetic,
    stamps: bundle.stamps,
    builtin: false,
    on: true,
    audit: bundle.audit,
    card: card as unknown as Record<string, unknown>,
    evidence: [],
    files: [],
    switches: [],
  } as ModelDetail;
}
