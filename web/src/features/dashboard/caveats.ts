// The caveats of a site's figures, as keys of messages with their values: the server writes them in English alone.
import type { Key } from "../../i18n";
import type { SiteFigures } from "./types";

interface Caveat {
  key: Key;
  values: Record<string, number>;
}

/** Return the caveats in the server's order (pneumoscope.server.reading.caveats), the most important first. */
export function listCaveats({ counts, verification }: Pick<SiteFigures, "counts" | "verification">): Caveat[] {
  const caveats: Caveat[] = [];
  const add = (key: Key, count: number, more = {}) => {
    if (count > 0) caveats.push({ key, values: { count, ...more } });
  };
  const { studies } = counts;
  if (verification.verified === 0) add("dash.caveat.none", studies);
  else if (verification.verified === studies) add("dash.caveat.all", studies);
  else add("dash.caveat.some", verification.verified, { studies });
  add("dash.caveat.conflict", verification.conflicting.length);
  add("dash.caveat.after", verification.after_answer);
  add("dash.caveat.refused", counts.refused);
  add("dash.caveat.aided", counts.aided);
  add("dash.caveat.readers", counts.readers);
  return caveats;
}
