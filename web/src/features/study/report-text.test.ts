import { expect, test } from "vitest";
import { formatReport } from "./report-text";

test("a report as text says what it is about, leaves empty sections out and ends with the disclaimer", () => {
  const text = formatReport({
    title: "Report",
    patient: "Patient p1",
    received: "1 Jan 2026",
    study: "abc",
    image: ["PA"],
    sections: [
      { heading: "Findings", lines: ["Patchy opacities.", ""] },
      { heading: "Models", lines: [] },
    ],
    disclaimer: "Research software.",
  });
  expect(text).toBe("Report\nPatient p1, 1 Jan 2026\nabc\nPA\n\nFindings\nPatchy opacities.\n\nResearch software.");
});
