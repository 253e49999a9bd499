// The facts of an image in the page's language.
import type { Identity, Image, Study } from "../../api/types";
import { formatDateTime, formatNumber, type Key, t } from "../../i18n";
import { type Pane, screenZoom } from "./pane";
import type { ViewerStore } from "./viewer-store";
import { toFileLevel } from "./window";

const SEX: Record<string, Key> = { F: "view.sex.F", M: "view.sex.M", O: "view.sex.O" };
const LATERALITY: Record<string, Key> = { L: "view.laterality.L", R: "view.laterality.R", B: "view.laterality.B" };
const VIEW: Record<string, Key> = {
  PA: "view.pa",
  AP: "view.ap",
  "AP Supine": "view.ap.supine",
  L: "view.lateral",
  LATERAL: "view.lateral",
  LL: "view.lateral.left",
  RL: "view.lateral.right",
};

/** Views that have no left and right of the patient (ViewPosition, PS3.3 C.8.1.1.1.1 and C.8.11.5). */
const LATERAL = ["L", "LL", "RL", "LATERAL"];

export function isLateral({ facts }: Image): boolean {
  return LATERAL.includes(facts.view ?? "");
}

function translate(table: Record<string, Key>, value: string | undefined): string | undefined {
  return value && table[value] ? t(table[value]) : value;
}

/** Return the view of an image, as the file says it; undefined where it does not. */
export function describeProjection({ facts }: Image): string | undefined {
  return translate(VIEW, facts.view);
}

/** Return what the file says of its exposure and of who was examined; never a name. */
export function describeExposure({ facts, format }: Image): string[] {
  const all = [
    translate(VIEW, facts.view) ?? t("view.unknown.view"),
    facts.modality,
    facts.portable && t("view.portable"),
    facts.laterality === "U" ? undefined : translate(LATERALITY, facts.laterality), // unpaired: a chest has no side
    translate(SEX, facts.sex),
    facts.age !== undefined && t("view.age", { years: formatNumber(facts.age, 0) }),
    facts.burned_in === "unknown" && t("view.burned"),
    format.toLowerCase() !== "dicom" && t("view.plain", { format: format.toUpperCase() }),
  ];
  return all.filter((one): one is string => Boolean(one));
}

/** Return who was examined: a name for those who may see it, else the pseudonym. */
export function describePatient(pane: Pane, identity: Identity | null): string {
  const patient = identity?.patient;
  if (patient) {
    const parts = [
      formatName(patient.patient_name ?? ""),
      patient.birth_date && t("view.born", { date: formatDate(patient.birth_date) }),
    ];
    const text = parts.filter(Boolean).join(", ");
    if (text) return text;
  }
  return pane.study.patient ? t("view.pseudonym", { id: pane.study.patient }) : t("view.nobody");
}

/** Return when the image was taken if the account may know, else when it was received. */
export function describeTime(pane: Pane, identity: Identity | null): string {
  const exam = identity?.examination;
  const date = exam?.date;
  if (date) return t("view.examined", { when: `${formatDate(date)} ${formatTime(exam?.time ?? "")}`.trim() });
  return t("view.received", { when: formatDateTime(pane.study.received) });
}

/** Return whether another study of the patient is earlier or later. Without both dates of examination it is unknown. */
export function describeRelation(store: ViewerStore, study: Study): string {
  const examinedAt = (study: string) => {
    const { date = "", time = "" } = store.identities.value.get(study)?.examination ?? {};
    return date && `${date} ${time}`;
  };
  const [other, open] = [examinedAt(study.id), examinedAt(store.open.study.value.id)];
  if (!other || !open || other === open) return t("view.prior");
  return t(other < open ? "view.prior.older" : "view.prior.newer");
}

/** Return the viewport's label: everything that the image's margins show, as text. */
export function describePane(pane: Pane, relation: string, patient: string, when: string): string {
  const parts = [relation, patient, when, ...describeExposure(pane.image)];
  const ruler = t(
    pane.ruler === null ? "view.ruler.none" : pane.ruler === "detector" ? "view.ruler.detector" : "view.ruler.patient",
  );
  const size = t("view.size", { width: pane.frame.width, height: pane.frame.height });
  return [...parts, size, ruler].join("; ");
}

export function describeWindow(pane: Pane): string {
  const level = (value: number) => toFileLevel(value, pane.pixels.value?.bits ?? 8, pane.image.bits);
  const [lower, upper] = [level(pane.window.value.lower), level(pane.window.value.upper)];
  return t("view.window.values", {
    width: formatNumber(upper - lower, 0),
    level: formatNumber((lower + upper) / 2, 0),
  });
}

/** Return the figures that change with every drag. */
export function describeView(pane: Pane): string {
  const percent = t("view.zoom.value", { percent: formatNumber(100 * screenZoom(pane), 0) });
  return [describeWindow(pane), percent, pane.invert.value && t("view.inverted"), describeRotation(pane)]
    .filter(Boolean)
    .join("  ");
}

function describeRotation(pane: Pane): string {
  const turn = pane.view.value?.turn ?? 0;
  return turn ? t("view.turned", { degrees: turn }) : "";
}

/** Family and given name of DICOM's alphabetic group (PS3.5 6.2.1.1). */
function formatName(written: string): string {
  const [family = "", given = ""] = (written.split("=")[0] ?? "").split("^");
  return [family, given]
    .map((part) => part.trim())
    .filter(Boolean)
    .join(", ");
}

/** DICOM's dates (PS3.5 6.2, DA) as ISO dates. */
export function formatDate(date: string): string {
  return date.replace(/^(\d{4})(\d{2})(\d{2})$/, "$1-$2-$3");
}

/** DICOM's times (PS3.5 6.2, TM) to the minute. */
function formatTime(time: string): string {
  return /^\d{4}/.test(time) ? `${time.slice(0, 2)}:${time.slice(2, 4)}` : "";
}
