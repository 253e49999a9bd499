// The sentence that stands on every page, in the package's own words (pneumoscope.core.labels.DISCLAIMER; a test compares them).
export const DISCLAIMER =
  "Research software. Not a medical device: not CE-marked, not cleared or approved by the FDA. Do not use it to diagnose, rule out, triage, prioritise or treat. A qualified reader must read every image without it first.";
