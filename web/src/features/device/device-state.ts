// The state of the page "on this device".
import { signal } from "@preact/signals";
import type { BundleList, ClassifierCard, ListedBundle } from "../../device/bundle";
import { loadModels } from "../../device/engine";
import type { Answered, Loaded } from "../../device/messages";
import { DownloadProblem, download, fetchList, listKept, readKept } from "../../device/store";

const STORAGE_KEY = "pneumoscope.device.networks";

/** What can be downloaded: null without a connection, undefined before it was asked. */
export const offered = signal<BundleList | null | undefined>(undefined);
export const kept = signal<ListedBundle[] | null>(null);
export const cards = signal<Record<string, ClassifierCard>>({});
/** Identities of the networks that are asked, in the order of the list. */
export const chosen = signal<string[]>([]);
export const problem = signal<unknown>(null);
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

export const classifiers = () => (kept.value ?? []).filter((bundle) => bundle.role === "classifier");
export const sizeOf = (bundle: ListedBundle) => bundle.card.bytes + bundle.model.bytes;

/** Whether an image can be asked about: gatekeeper, lungs and a chosen network are kept. */
export function isReady(): boolean {
  const roles = new Set((kept.value ?? []).map((bundle) => bundle.role));
  return roles.has("gatekeeper") && roles.has("lungs") && chosen.value.length > 0;
}

/** Read what is kept; the networks that were chosen last are chosen again. */
export async function readState(): Promise<void> {
  const all = await listKept();
  const read: Record<string, ClassifierCard> = {};
  for (const bundle of all)
    if (bundle.role === "classifier")
      read[bundle.identity] = JSON.parse(
        new TextDecoder().decode(await readKept(bundle, "card.json")),
      ) as ClassifierCard;
  cards.value = read;
  kept.value = all;
  const present = classifiers().map((bundle) => bundle.identity);
  const stored = (localStorage.getItem(STORAGE_KEY) ?? "").split(",").filter((one) => present.includes(one));
  chosen.value = stored.length ? stored : present.slice(0, 1);
  if (isReady()) warmUp();
}

/** Load the networks before a picture is chosen, so that the first answer comes sooner. */
function warmUp(): void {
  loadModels(chosen.value).then(
    (result) => {
      loaded.value = result;
    },
    (error: unknown) => {
      problem.value = error;
    },
  );
}

export function choose(identities: string[]): void {
  chosen.value = identities;
  localStorage.setItem(STORAGE_KEY, identities.join(","));
  if (isReady()) warmUp();
}

/** Ask what can be downloaded. */
export async function readOffer(): Promise<void> {
  try {
    offered.value = await fetchList();
  } catch (error) {
    offered.value = null;
    problem.value = error;
  }
}

/** The bundles that a download of these classifiers needs and that are not kept. */
export function missing(identities: readonly string[]): ListedBundle[] {
  const present = new Set((kept.value ?? []).map((bundle) => bundle.identity));
  return (offered.value?.bundles ?? []).filter(
    (bundle) => !present.has(bundle.identity) && (bundle.role !== "classifier" || identities.includes(bundle.identity)),
  );
}

export async function fetchBundles(identities: readonly string[]): Promise<void> {
  const wanted = missing(identities);
  const all = wanted.reduce((sum, bundle) => sum + sizeOf(bundle), 0);
  let before = 0;
  problem.value = null;
  try {
    for (const bundle of wanted) {
      await download(bundle, (bytes) => {
        progress.value = { done: before + bytes, all };
      });
      before += sizeOf(bundle);
    }
    await navigator.storage?.persist?.(); // asks that the browser does not clear it by itself
  } catch (error) {
    problem.value = error;
  } finally {
    progress.value = null;
  }
  await readState();
}

export { DownloadProblem };
