// A kept bundle in the form that the pages of the server have, so that their parts can show it.
import type { ModelDetail } from "../../api/types";
import type { ClassifierCard, Facts, ListedBundle } from "../../device/bundle";

/** `facts`: what became known of it since its export; null: not known here. */
export function modelOf(bundle: ListedBundle, card: ClassifierCard, facts: Facts | null): ModelDetail {
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
    // The pages take a model without this list for one of which nothing is known.
    evidence: facts,
    files: [],
    switches: [],
  } as unknown as ModelDetail;
}
