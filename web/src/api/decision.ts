// A decision or a conclusion is a label, or several findings joined as the server joins them (bundle/prediction.py).
const BETWEEN_FINDINGS = "; ";

/** Return the labels of a decision or of a conclusion. */
export function splitDecision(decision: string): string[] {
  return decision.split(BETWEEN_FINDINGS);
}

/** Return findings as one conclusion; null without any. */
export function joinFindings(findings: readonly string[]): string | null {
  return findings.length === 0 ? null : findings.join(BETWEEN_FINDINGS);
}

/** What the name of a finding's absence begins with, as the server names it (core/labels.py). */
export const ABSENT = "not ";
