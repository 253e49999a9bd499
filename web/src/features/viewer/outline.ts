// The edge of a region that is given as runs of cells: a path in units of cells.
import type { LungRuns } from "../../api/types";

/** Return the path of SVG along the edge of all runs: the ends of each, and where the row above or below differs. */
export function outlineRuns({ rows }: LungRuns): string {
  const parts: string[] = [];
  for (let y = 0; y <= rows.length; y++) {
    const [above, here] = [rows[y - 1] ?? [], rows[y] ?? []];
    for (const x of here) parts.push(`M${x} ${y}v1`);
    // The borders of both rows in order: between an odd and an even one, exactly one of the two rows is inside.
    const borders = [...above, ...here].sort((a, b) => a - b);
    for (let i = 0; i + 1 < borders.length; i += 2) {
      const [from = 0, to = 0] = [borders[i], borders[i + 1]];
      if (to > from) parts.push(`M${from} ${y}h${to - from}`);
    }
  }
  return parts.join("");
}
