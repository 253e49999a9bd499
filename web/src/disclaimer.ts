// The disclaimer of every page. A test compares it with the package's own (pneumoscope.core.labels.DISCLAIMER).
export const DISCLAIMER = [
  "Research software. Not a medical device: not CE-marked, not cleared or approved by the FDA.",
  "Do not use it to diagnose, rule out, triage, prioritise or treat.",
  "A qualified reader must read every image without it first.",
].join(" ");
