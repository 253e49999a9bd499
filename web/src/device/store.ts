// The bundles that this browser keeps (Cache Storage): downloaded once, with their SHA-256 checked.
import type { BundleFile, BundleList, ClassifierCard, Facts, ListedBundle } from "./bundle";
import { RUNTIME_FILE, RUNTIME_NAME } from "./runtime-file";

const CACHE = "pneumoscope-bundles-1";
const SCHEMA = 1;
const FILES = ["card.json", "model.onnx"] as const;
const EVIDENCE = "evidence.json";
type FileName = (typeof FILES)[number] | typeof EVIDENCE;

/** A download failed, its bytes are not those of the list, or what was kept of it is damaged. */
export class DownloadProblem extends Error {
  readonly kind: "unreachable" | "login" | "altered" | "unsupported" | "damaged" | "list" | "full";
  /** Names of the bundles that the same download had kept before; null: it was no download of bundles. */
  kept: string[] | null = null;
  constructor(kind: DownloadProblem["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Return where the page's list of bundles lies: the server and an exported folder have it in different places. */
export function listAddress(): URL {
  const named = document.querySelector<HTMLMetaElement>('meta[name="pneumoscope-bundles"]')?.content;
  return new URL(named ?? "api/device", document.baseURI);
}

/** Return the list of bundles that can be downloaded; a page without a connection gets null. */
export async function fetchList(): Promise<BundleList | null> {
  let response: Response;
  try {
    response = await fetch(listAddress(), { credentials: "same-origin", cache: "no-cache" });
  } catch {
    return null;
  }
  if (response.status === 401) throw new DownloadProblem("login", "log in first");
  if (!response.ok) throw new DownloadProblem("list", `${listAddress().pathname}: ${response.status}`);
  const { pathname } = listAddress();
  let list: Partial<BundleList> | null;
  try {
    list = await response.json();
  } catch {
    throw new DownloadProblem("list", pathname);
  }
  if (typeof list?.schema_version !== "number") throw new DownloadProblem("list", pathname);
  if (list.schema_version !== SCHEMA) throw new DownloadProblem("unsupported", "the list is of another version");
  if (!Array.isArray(list.bundles) || !list.bundles.every(isListed)) throw new DownloadProblem("list", pathname);
  return list as BundleList;
}

function isListed(bundle: Partial<ListedBundle> | null): boolean {
  const isFile = (file?: Partial<BundleFile>) =>
    typeof file?.path === "string" && typeof file.sha256 === "string" && Number.isInteger(file.bytes);
  return (
    typeof bundle?.identity === "string" &&
    Array.isArray(bundle.labels) &&
    [bundle.card, bundle.model, ...(bundle.evidence ? [bundle.evidence] : [])].every(isFile)
  );
}

/** Return whether this browser can keep bundles: pages without TLS can't, except those of this machine. */
export function canKeep(): boolean {
  try {
    return typeof caches !== "undefined" && globalThis.crypto?.subtle !== undefined;
  } catch {
    return true; // it can, and is set not to: `listKept` says so
  }
}

/** Kept files are named by what they are: two folders of one host share them. Nothing is ever fetched from there. */
const KEPT = "https://bundles.invalid/";
const key = (identity: string, name: string) => `${KEPT}${identity}/${name}`;

async function sha256(bytes: BufferSource): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Download a bundle; nothing is kept of one whose bytes are not those of the list. */
export async function download(bundle: ListedBundle, onProgress: (bytes: number) => void): Promise<void> {
  const base = listAddress();
  const files = {
    "card.json": bundle.card,
    "model.onnx": bundle.model,
    ...(bundle.evidence ? { [EVIDENCE]: bundle.evidence } : {}),
  };
  const cache = await caches.open(CACHE);
  let before = 0;
  const fetched: [string, Uint8Array<ArrayBuffer>][] = [];
  for (const [name, file] of Object.entries(files)) {
    fetched.push([name, await fetchFile(new URL(file.path, base), file, (bytes) => onProgress(before + bytes))]);
    before += file.bytes;
  }
  await checkCard(bundle, (fetched[0] as [string, Uint8Array<ArrayBuffer>])[1]);
  try {
    for (const [name, bytes] of fetched) await cache.put(key(bundle.identity, name), new Response(bytes));
    // Last: a bundle is kept once this is there.
    await cache.put(key(bundle.identity, "bundle.json"), new Response(JSON.stringify(bundle)));
  } catch (error) {
    await forget(bundle.identity);
    throw new DownloadProblem("full", error instanceof Error ? error.message : String(error));
  }
}

async function checkCard(bundle: ListedBundle, card: BufferSource): Promise<void> {
  if ((await sha256(card)) !== bundle.identity)
    throw new DownloadProblem("altered", `the card of ${bundle.name} is another`);
}

const parse = (bytes: BufferSource) => JSON.parse(new TextDecoder().decode(bytes));

/** Fetch what a listed classifier is, to be read before it is downloaded; checked as a download is. */
export async function fetchCard(bundle: ListedBundle): Promise<{ card: ClassifierCard; facts: Facts | null }> {
  const fetchOne = (file: BundleFile) => fetchFile(new URL(file.path, listAddress()), file, () => undefined);
  const bytes = await fetchOne(bundle.card);
  await checkCard(bundle, bytes);
  return { card: parse(bytes), facts: bundle.evidence ? parse(await fetchOne(bundle.evidence)) : null };
}

/** Fetch and keep what became known of a kept classifier since its download; return the bundle as it is kept now. */
export async function renew(bundle: ListedBundle, listed: ListedBundle): Promise<ListedBundle> {
  const { evidence = null, audit, stamps } = listed;
  const renewed = { ...bundle, evidence, audit, stamps };
  const cache = await caches.open(CACHE);
  if (evidence) {
    const bytes = await fetchFile(new URL(evidence.path, listAddress()), evidence, () => undefined);
    await cache.put(key(bundle.identity, EVIDENCE), new Response(bytes));
  } else await cache.delete(key(bundle.identity, EVIDENCE));
  await cache.put(key(bundle.identity, "bundle.json"), new Response(JSON.stringify(renewed)));
  return renewed;
}

async function fetchFile(address: URL, file: BundleFile, onProgress: (bytes: number) => void) {
  let response: Response;
  try {
    response = await fetch(address, { credentials: "same-origin", cache: "no-cache" });
  } catch {
    throw new DownloadProblem("unreachable", address.pathname);
  }
  if (response.status === 401) throw new DownloadProblem("login", "log in first");
  if (!response.ok || !response.body)
    throw new DownloadProblem("unreachable", `${address.pathname}: ${response.status}`);
  const bytes = new Uint8Array(file.bytes);
  let at = 0;
  const reader = response.body.getReader();
  const read = async () => {
    try {
      return await reader.read();
    } catch {
      throw new DownloadProblem("unreachable", address.pathname);
    }
  };
  for (let part = await read(); !part.done; part = await read()) {
    if (at + part.value.length > bytes.length) throw new DownloadProblem("altered", `${address.pathname} is too long`);
    bytes.set(part.value, at);
    at += part.value.length;
    onProgress(at);
  }
  if (at !== bytes.length || (await sha256(bytes)) !== file.sha256)
    throw new DownloadProblem("altered", `${address.pathname} has another SHA-256 than the list says`);
  return bytes;
}

/** The kept runtime is named by what it is: one of another version counts as none. */
const RUNTIMES = `${KEPT}runtime/`;
const RUNTIME_KEY = `${RUNTIMES}${RUNTIME_FILE.sha256}`;

/** Download what runs the networks; nothing is kept of it if its bytes are not those that this page was built with. */
export async function downloadRuntime(onProgress: (bytes: number) => void): Promise<void> {
  const bytes = await fetchFile(new URL(RUNTIME_FILE.path), RUNTIME_FILE, onProgress);
  await forgetRuntime();
  try {
    await (await caches.open(CACHE)).put(RUNTIME_KEY, new Response(bytes));
  } catch (error) {
    await forgetRuntime();
    throw new DownloadProblem("full", error instanceof Error ? error.message : String(error));
  }
}

/** Return whether this browser keeps what runs the networks. */
export async function keepsRuntime(): Promise<boolean> {
  return canKeep() && (await (await caches.open(CACHE)).match(RUNTIME_KEY)) !== undefined;
}

/** Return what runs the networks, checked again; a damaged one is deleted. */
export async function readRuntime(): Promise<Uint8Array<ArrayBuffer>> {
  const response = await (await caches.open(CACHE)).match(RUNTIME_KEY);
  const bytes = new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer(0));
  if ((await sha256(bytes)) === RUNTIME_FILE.sha256) return bytes;
  await forgetRuntime();
  throw new DownloadProblem("damaged", RUNTIME_NAME);
}

/** Forget what runs the networks, of any version. */
export async function forgetRuntime(): Promise<void> {
  const cache = await caches.open(CACHE);
  for (const { url } of await cache.keys()) if (url.startsWith(RUNTIMES)) await cache.delete(url);
}

/** Return the bundles of which this browser keeps all files. */
export async function listKept(): Promise<ListedBundle[]> {
  if (!canKeep()) return [];
  const cache = await caches.open(CACHE);
  const kept: ListedBundle[] = [];
  for (const request of await cache.keys()) {
    if (!request.url.endsWith("/bundle.json")) continue;
    const response = await cache.match(request);
    let bundle: ListedBundle | undefined;
    try {
      bundle = await response?.json();
    } catch {
      await cache.delete(request); // as if it had never been downloaded
    }
    if (!bundle) continue;
    const files = FILES.map((name) => cache.match(key(bundle.identity, name)));
    if ((await Promise.all(files)).every((file) => file !== undefined)) kept.push(bundle);
    else await forget(bundle.identity);
  }
  return kept;
}

/**
 * Return a kept file, checked again: what lies in a browser's store may be altered.
 * A bundle with a damaged file is deleted, so that it can be downloaded again.
 */
export async function readKept(bundle: ListedBundle, name: FileName): Promise<Uint8Array<ArrayBuffer>> {
  const cache = await caches.open(CACHE);
  const response = await cache.match(key(bundle.identity, name));
  if (!response) throw await discard(bundle, name);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const wanted = {
    "card.json": bundle.identity,
    "model.onnx": bundle.model.sha256,
    [EVIDENCE]: bundle.evidence?.sha256,
  }[name];
  if ((await sha256(bytes)) !== wanted) throw await discard(bundle, name);
  return bytes;
}

/** Return what became known of a kept classifier, checked again; null: not known here. */
export async function readFacts(bundle: ListedBundle): Promise<Facts | null> {
  return bundle.evidence ? parse(await readKept(bundle, EVIDENCE)) : null;
}

/** Delete a bundle of which a kept file is damaged; return the problem. */
export async function discard(bundle: ListedBundle, name: string): Promise<DownloadProblem> {
  await forget(bundle.identity);
  return new DownloadProblem("damaged", `${bundle.name}: ${name}`);
}

/** Forget a bundle. */
export async function forget(identity: string): Promise<void> {
  const cache = await caches.open(CACHE);
  for (const name of ["bundle.json", ...FILES, EVIDENCE]) await cache.delete(key(identity, name));
}
