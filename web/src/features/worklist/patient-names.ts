// Patient names in place of pseudonyms, for users who may see them and ask for them: each look is recorded in the audit
// log. Names stay in memory and are deleted with the session.
import { effect, signal } from "@preact/signals";
import { api, body, me } from "../../api/client";
import type { Study } from "../../api/types";

export const namesShown = signal(false);
/** Pseudonym to name. */
export const names = signal<Record<string, string>>({});
const requestedPatients = new Set<string>();

effect(() => {
  if (me.value !== null) return;
  namesShown.value = false;
  names.value = {};
  requestedPatients.clear();
});

/** Fetch the names of the patients of some studies; each patient once. */
export async function fetchNames(studies: Study[]): Promise<void> {
  for (const { id, patient } of studies) {
    if (patient === null || requestedPatients.has(patient)) continue;
    requestedPatients.add(patient);
    const account = me.value?.id;
    const identity = await body(api.GET("/api/studies/{study}/identity", { params: { path: { study: id } } })).catch(
      () => null,
    );
    if (me.value === null || me.value.id !== account) return;
    const name = identity?.patient?.patient_name;
    if (name) names.value = { ...names.value, [patient]: formatPersonName(name) };
    else if (identity === null) requestedPatients.delete(patient);
  }
}

/** Return a DICOM person name as people write it: "Doe^Jane^^Dr" is "Doe, Jane" (PS3.5 6.2.1.1). */
export function formatPersonName(name: string): string {
  const [family = "", given = "", middle = ""] = (name.split("=")[0] ?? "").split("^").map((part) => part.trim());
  const rest = [given, middle].filter(Boolean).join(" ");
  return [family, rest].filter(Boolean).join(", ");
}
