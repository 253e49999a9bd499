// Results that were never queued, counted by where the rules would send them.
import type { components } from "../../api/schema";

type Result = components["schemas"]["UnsentOut"];

export interface Group {
  key: string;
  destination: string;
  rule: string;
  kind: string;
  /** How many results. */
  count: number;
  /** Numbers of their studies, each once. */
  studies: string[];
}

/** Count results by destination, rule and kind, in the order in which each comes first. */
export function groupUnsent(results: Result[]): Group[] {
  const groups = new Map<string, Group>();
  for (const { destination, rule, kind, study } of results) {
    const key = JSON.stringify([destination, rule, kind]);
    const group = groups.get(key) ?? { key, destination, rule, kind, count: 0, studies: [] };
    group.count += 1;
    if (group.studies.at(-1) !== study) group.studies.push(study); // those of a study come together
    groups.set(key, group);
  }
  return [...groups.values()];
}
