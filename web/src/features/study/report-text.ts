// A report as plain text, to copy or print. Pure, so that what leaves the page can be tested word by word.

export interface ReportParts {
  title: string;
  patient: string;
  received: string;
  study: string;
  /** Lines about the image, such as its projection. */
  image: string[];
  /** Sections in their order: a heading and its lines. Empty sections are left out. */
  sections: { heading: string; lines: string[] }[];
  disclaimer: string;
}

/** Return a report as text: what it is about, the sections, and the disclaimer at the end. */
export function formatReport({ title, patient, received, study, image, sections, disclaimer }: ReportParts): string {
  const head = [title, `${patient}, ${received}`, study, ...image];
  const body = sections
    .map(({ heading, lines }) => ({ heading, lines: lines.filter((line) => line.trim() !== "") }))
    .filter(({ lines }) => lines.length > 0)
    .flatMap(({ heading, lines }) => ["", heading, ...lines]);
  return [...head, ...body, "", disclaimer].join("\n");
}
