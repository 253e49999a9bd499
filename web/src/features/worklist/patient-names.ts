// Patient names in place of pseudonyms, for users who may see them and ask for them: each look is recorded in the audit
// log. Names stay in memory and are deleted with the session.
import { effect, signal } from "@preact/signals";
import { api, body, me } from "../../api/client";
import type { Study } from "../../api/types";
import { t } from "../../i18n";

export const namesShown = signal(false);
/** Pseudonym to name. */
export const names = signal<Record<string, string>>({});
/** Study to date of examination, as DICOM writes it. */
const exams = signal<Record<string, string>>({});
/** Study to the name of its file, where that names no patient. */
const files = signal<Record<string, string>>({});
const requestedStudies = new Set<string>();

effect(() => {
  if (me.value !== null) return;
  namesShown.value = false;
  names.value = {};
  exams.value = {};
  files.value = {};
  requestedStudies.clear();
});

/** Return the date of a study's examination as an ISO date; empty where it is not known or not shown. */
export function examDate({ id }: Study): string {
  const date = namesShown.value ? (exams.value[id] ?? "") : "";
  return date.replace(/^(\d{4})(\d{2})(\d{2})$/, "$1-$2-$3");
}

/** Return what a study is called: by the patient's name or pseudonym, else by the name of its file. */
export function studyName({ id, patient, file }: Study): string {
  if (patient === null) return file ?? (namesShown.value ? files.value[id] : undefined) ?? t("work.nobody");
  const name = namesShown.value ? names.value[patient] : undefined;
  return name ?? t("work.patient-no", { number: patient.slice(0, 9) });
}

/** Fetch the names and dates of examination of some studies; each study once. */
export async function fetchNames(studies: Study[]): Promise<void> {
  for (const { id, patient, file } of studies) {
    if (file || requestedStudies.has(id)) continue;
    requestedStudies.add(id);
    const account = me.value?.id;
    const identity = await body(api.GET("/api/studies/{study}/identity", { params: { path: { study: id } } })).catch(
      () => null,
    );
    if (me.value === null || me.value.id !== account) return;
    const name = identity?.patient?.patient_name;
    if (name && patient) names.value = { ...names.value, [patient]: formatPersonName(name) };
    const date = identity?.examination?.date;
    if (date) exams.value = { ...exams.value, [id]: date };
    const fileName = identity?.examination?.file;
    if (fileName) files.value = { ...files.value, [id]: fileName };
    if (identity === null) requestedStudies.delete(id);
  }
}

/** Return a DICOM person name as people write it: "Doe^Jane^^Dr" is "Doe, Jane" (PS3.5 6.2.1.1). */
export function formatPersonName(name: string): string {
  const [family = "", given = "", middle = ""] = (name.split("=")[0] ?? "").split("^").map((part) => part.trim());
  const rest = [given, middle].filter(Boolean).join(" ");
  return [family, rest].filter(Boolean).join(", ");
}
