// The state of the page "on this device".
import { signal } from "@preact/signals";
import {
  type BundleList,
  type ClassifierCard,
  type Facts,
  findUsable,
  type ListedBundle,
  withFacts,
} from "../../device/bundle";
import { loadModels } from "../../device/engine";
import type { Answered, Loaded } from "../../device/messages";
import { RUNTIME_FILE, RUNTIME_NAME } from "../../device/runtime-file";
import {
  DownloadProblem,
  download,
  downloadRuntime,
  fetchList,
  forget,
  forgetRuntime,
  keepsRuntime,
  listKept,
  readFacts,
  readKept,
  renew,
} from "../../device/store";
import { modelLabels } from "../../i18n";
import { nameAmong } from "../../model-names";
import { keepPreference, readPreference } from "../../preferences";

const STORAGE_KEY = "pneumoscope.device.networks";

/** Whether the browser is set to keep nothing for this page. */
export const denied = signal(false);
/** What can be downloaded: null without a connection, undefined before it was asked. */
export const offered = signal<BundleList | null | undefined>(undefined);
export const kept = signal<ListedBundle[] | null>(null);
/** Whether this browser keeps what runs the networks, in the version of this page. */
export const runtimeKept = signal(false);
export const cards = signal<Record<string, ClassifierCard>>({});
/** What became known of each kept network since its export; null: not known here. */
export const facts = signal<Record<string, Facts | null>>({});
/** Identities of the networks that are asked, in the order of the list. */
export const chosen = signal<string[]>([]);
/** Why a download broke off, or why what is kept can't be loaded. */
export const problem = signal<unknown>(null);
/** Why the list of what can be downloaded is not there. */
export const offerProblem = signal<unknown>(null);
/** Bytes of the download that runs, of all its bytes. */
export const progress = signal<{ done: number; all: number } | null>(null);
export const loaded = signal<Loaded | null>(null);

/** The picture that is asked about or was answered. */
export interface Shown {
  name: string;
  file: Uint8Array<ArrayBuffer>;
  camera: boolean;
  answered: Answered | null;
  /** Milliseconds from the choice of the file to the answer. */
  waited: number | null;
}
export const shown = signal<Shown | null>(null);

/** Whether any network, gatekeeper included, looked at a picture: a photograph is refused before. */
export const wasAsked = ({ answers }: Answered) => !answers.every(({ codes }) => codes.includes("photograph"));

/** The networks on this device: kept with gatekeeper, lungs and what runs them. */
export const classifiers = () => (runtimeKept.value ? findUsable(kept.value ?? []) : []);
/** Whether networks are kept, and nothing that runs them: the page is of a newer version than the download. */
export const lacksRuntime = () => !runtimeKept.value && findUsable(kept.value ?? []).length > 0;
/** What a download that broke off left, which no network can be asked with. */
export const leftovers = () => (classifiers().length ? [] : (kept.value ?? []));
/** Names of what such a download left. */
export const leftoverNames = () =>
  classifiers().length ? [] : [...(runtimeKept.value ? [RUNTIME_NAME] : []), ...leftovers().map(({ name }) => name)];
/** Return what a network is called here. */
export const bundleName = (bundle: ListedBundle) =>
  nameAmong(bundle, [...(offered.value?.bundles ?? []), ...(kept.value ?? [])]);
export const sizeOf = ({ card, model, evidence }: ListedBundle) => card.bytes + model.bytes + (evidence?.bytes ?? 0);
const sumSizes = (bundles: readonly ListedBundle[]) => bundles.reduce((sum, bundle) => sum + sizeOf(bundle), 0);
/** Bytes of all that was downloaded. */
export const keptSize = () => sumSizes(kept.value ?? []) + (runtimeKept.value ? RUNTIME_FILE.bytes : 0);
/** Bytes that a download of these classifiers fetches. */
export const missingSize = (identities: readonly string[]) =>
  sumSizes(missing(identities)) + (runtimeKept.value ? 0 : RUNTIME_FILE.bytes);

/** Whether an image can be asked about: gatekeeper, lungs and a chosen network are kept. */
export function isReady(): boolean {
  return classifiers().some((bundle) => chosen.value.includes(bundle.identity));
}

/** Read and check what is kept; the networks that were chosen last are chosen again. */
export async function readState(): Promise<void> {
  const whole: ListedBundle[] = [];
  const damaged: string[] = [];
  const read: Record<string, ClassifierCard> = {};
  const known: Record<string, Facts | null> = {};
  let listed: ListedBundle[];
  try {
    listed = await listKept();
    runtimeKept.value = await keepsRuntime();
    denied.value = false;
  } catch {
    denied.value = true;
    return;
  }
  for (const bundle of listed)
    try {
      const card = await readKept(bundle, "card.json");
      await readKept(bundle, "model.onnx");
      if (bundle.role !== "classifier") whole.push(bundle);
      else {
        const own: ClassifierCard = JSON.parse(new TextDecoder().decode(card));
        known[bundle.identity] = await readFacts(bundle);
        read[bundle.identity] = own;
        whole.push(withFacts(bundle, own));
      }
    } catch (error) {
      if (!(error instanceof DownloadProblem)) throw error;
      damaged.push(error.message);
    }
  if (damaged.length) problem.value = new DownloadProblem("damaged", damaged.join(", "));
  const usable = findUsable(whole);
  facts.value = known;
  for (const card of Object.values(read)) learnLabels(card);
  cards.value = Object.fromEntries(Object.entries(read).filter(([id]) => usable.some((one) => one.identity === id)));
  kept.value = whole;
  const present = classifiers().map((bundle) => bundle.identity);
  const stored = (readPreference(STORAGE_KEY) ?? "").split(",").filter((one) => present.includes(one));
  chosen.value = stored.length ? stored : present.slice(0, 1);
  if (isReady()) warmUp();
}

/** Learn the names of labels that the app does not bring, as the server's list of models has them. */
function learnNames(names: Record<string, Record<string, string>>): void {
  modelLabels.value = { ...modelLabels.value, ...names };
}

/** Learn the names of a card's own labels. */
export function learnLabels(card: ClassifierCard): void {
  learnNames(Object.fromEntries(card.labels.flatMap(({ name, names }) => (names ? [[name, names]] : []))));
}

/** Load the networks before a picture is chosen, so that the first answer comes sooner. */
function warmUp(): void {
  loadModels(chosen.value).then(
    (result) => {
      loaded.value = result;
    },
    (error: unknown) => noteProblem(error),
  );
}

/** Show why networks could not be loaded; what was damaged is no longer kept. */
export async function noteProblem(error: unknown): Promise<void> {
  problem.value = error;
  if (isDamage(error)) await readState();
}

export const isDamage = (error: unknown) => error instanceof DownloadProblem && error.kind === "damaged";

/** Remove bundles from this device; gatekeeper, lungs and what runs them go with the last network. */
export async function remove(identities: readonly string[]): Promise<void> {
  problem.value = null;
  const all = kept.value ?? [];
  const last = all.every((bundle) => bundle.role !== "classifier" || identities.includes(bundle.identity));
  for (const identity of last ? all.map((bundle) => bundle.identity) : identities) await forget(identity);
  if (last) await forgetRuntime();
  await readState();
}

export function choose(identities: string[]): void {
  chosen.value = identities;
  problem.value = null;
  keepPreference(STORAGE_KEY, identities.join(","));
  if (isReady()) warmUp();
}

/** Ask what can be downloaded. */
export async function readOffer(): Promise<void> {
  offerProblem.value = null;
  try {
    const list = await fetchList();
    for (const bundle of list?.bundles ?? []) learnNames(bundle.label_names ?? {});
    offered.value = list;
  } catch (error) {
    offered.value = null;
    offerProblem.value = error;
  }
}

/** Take over what became known of kept networks since their download, such as a failed audit. */
export async function renewFacts(): Promise<void> {
  for (const bundle of kept.value ?? []) {
    const listed = offered.value?.bundles.find((one) => one.identity === bundle.identity);
    if (bundle.role !== "classifier" || !listed || isSame(bundle, listed)) continue;
    const renewed = await renew(bundle, listed).catch(() => null); // the page opens again without it
    const card = cards.value[bundle.identity];
    if (!renewed || !card) continue;
    const known = await readFacts(renewed).catch(() => null);
    facts.value = { ...facts.value, [bundle.identity]: known };
    kept.value = (kept.value ?? []).map((one) => (one.identity === bundle.identity ? withFacts(renewed, card) : one));
  }
}

const isSame = (bundle: ListedBundle, listed: ListedBundle) =>
  bundle.evidence?.sha256 === listed.evidence?.sha256 && bundle.audit === listed.audit;

/** The bundles that a download of these classifiers needs and that are not kept, gatekeeper and lungs first. */
export function missing(identities: readonly string[]): ListedBundle[] {
  const present = new Set((kept.value ?? []).map((bundle) => bundle.identity));
  const absent = (offered.value?.bundles ?? []).filter((bundle) => !present.has(bundle.identity));
  return [
    ...absent.filter((bundle) => bundle.role !== "classifier"),
    ...absent.filter((bundle) => bundle.role === "classifier" && identities.includes(bundle.identity)),
  ];
}

export async function fetchBundles(identities: readonly string[]): Promise<void> {
  const wanted = missing(identities);
  const all = missingSize(identities);
  const done: string[] = [];
  let before = 0;
  problem.value = null;
  const report = (bytes: number) => {
    progress.value = { done: before + bytes, all };
  };
  try {
    if (!runtimeKept.value) {
      await downloadRuntime(report);
      before += RUNTIME_FILE.bytes;
      done.push(RUNTIME_NAME);
    }
    for (const bundle of wanted) {
      await download(bundle, report);
      before += sizeOf(bundle);
      done.push(bundle.name);
    }
    await navigator.storage?.persist?.(); // asks that the browser does not clear it by itself
  } catch (error) {
    if (error instanceof DownloadProblem) error.kept = done;
    problem.value = error;
  } finally {
    progress.value = null;
  }
  await readState();
}
