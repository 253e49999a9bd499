// Downloads that break off, and kept files that are damaged, with a store and a server in memory.
import { createHash } from "node:crypto";
import { beforeEach, expect, test, vi } from "vitest";
import type { BundleFile, ClassifierCard, ListedBundle } from "../../device/bundle";
import { labelName, language, modelLabels } from "../../i18n";
import { knowsEvidence, listOpenings } from "../models/card-facts";
import { describe } from "./device-problem";
import {
  cards,
  classifiers,
  denied,
  facts,
  fetchBundles,
  kept,
  keptSize,
  lacksRuntime,
  learnLabels,
  leftoverNames,
  leftovers,
  missing,
  missingSize,
  offered,
  offerProblem,
  problem,
  readOffer,
  readState,
  remove,
  renewFacts,
} from "./device-state";
import { modelOf } from "./model-of";

// The networks themselves are not run here.
vi.mock("../../device/engine", async (original) => ({
  ...(await original<typeof import("../../device/engine")>()),
  loadModels: () => new Promise(() => undefined),
}));

vi.mock("../../device/runtime-file", async () => {
  const { createHash } = await import("node:crypto");
  const sha256 = createHash("sha256").update("the runtime").digest("hex");
  const path = "https://host.example/app/assets/runtime.wasm";
  return { RUNTIME_NAME: "ONNX Runtime", RUNTIME_FILE: { path, bytes: 11, sha256 } };
});

const ADDRESS = "https://host.example/app/device.html";
const served = new Map<string, Uint8Array<ArrayBuffer>>();
const stored = new Map<string, Uint8Array<ArrayBuffer>>();
const fetched: string[] = [];

/** The end of the name of the file for which there is no room. */
let full: string | null = null;

const cache = {
  keys: async () => [...stored.keys()].map((url) => ({ url })),
  match: async (asked: string | { url: string }) => {
    const bytes = stored.get(typeof asked === "string" ? asked : asked.url);
    return bytes && new Response(bytes);
  },
  put: async (url: string, response: Response) => {
    if (url.endsWith(full ?? "/")) throw new Error("Quota exceeded.");
    stored.set(url, new Uint8Array(await response.arrayBuffer()));
  },
  delete: async (url: string) => stored.delete(url),
};

function serve(path: string, text: string): BundleFile {
  const bytes = new TextEncoder().encode(text);
  served.set(new URL(path, new URL("api/device", ADDRESS)).href, bytes);
  return { path, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** What the hashed card of a network says of it. */
const FACTS = {
  version: "1",
  labels: [{ name: "pneumonia" }, { name: "normal" }],
  stamps: ["not audited", "confounded"],
  synthetic: true,
};

const OPENING = { kind: "opening", images: 1091, earlier_openings: 7 };

function make(name: string, role: ListedBundle["role"] = "classifier"): ListedBundle {
  const model = serve(`${name}/model.onnx`, `the graph of ${name}`);
  const card = serve(`${name}/card.json`, JSON.stringify({ ...FACTS, name, model_sha256: model.sha256 }));
  const facts = { version: "1", labels: [], audit: "", stamps: [], synthetic: false };
  const evidence = role === "classifier" ? serve(`${name}/evidence.json`, JSON.stringify([OPENING])) : null;
  return { identity: card.sha256, role, name, ...facts, card, model, evidence };
}

let bundles: ListedBundle[] = [];
const networks = () => bundles.filter(({ role }) => role === "classifier").map(({ identity }) => identity);
const names = (some: readonly ListedBundle[]) => some.map(({ name }) => name);

beforeEach(async () => {
  for (const map of [served, stored]) map.clear();
  full = null;
  serve("https://host.example/app/assets/runtime.wasm", "the runtime");
  vi.stubGlobal("caches", { open: async () => cache });
  vi.stubGlobal("document", { querySelector: () => null, baseURI: ADDRESS });
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => undefined });
  vi.stubGlobal("fetch", async (address: URL) => {
    fetched.push(address.pathname);
    const bytes = served.get(address.href);
    return bytes ? new Response(bytes) : new Response(null, { status: 404 });
  });
  bundles = [make("one"), make("two"), make("gatekeeper", "gatekeeper"), make("lungs", "lungs")];
  offered.value = { schema_version: 1, bundles };
  problem.value = null;
  await readState();
  fetched.length = 0;
});

const lose = (path: string) => {
  const url = [...served.keys()].find((one) => one.endsWith(path)) as string;
  const bytes = served.get(url) as Uint8Array<ArrayBuffer>;
  served.delete(url);
  return () => served.set(url, bytes);
};

for (const [lost, left] of [
  ["gatekeeper/model.onnx", []],
  ["lungs/card.json", ["gatekeeper"]],
  ["one/model.onnx", ["gatekeeper", "lungs"]],
] as const)
  test(`without ${lost} no network is on the device, and the next download fetches the rest`, async () => {
    const restore = lose(lost);
    await fetchBundles(networks());
    expect(names(classifiers())).toEqual([]);
    expect(names(leftovers())).toEqual(left);
    expect(leftoverNames()).toEqual(["ONNX Runtime", ...left]);
    expect(describe(problem.value)).toContain("The download broke off.");
    expect(describe(problem.value)).toContain(`Kept of it: ${leftoverNames().join(", ")}.`);
    restore();
    fetched.length = 0;
    expect(names(missing(networks()))).toEqual(["gatekeeper", "lungs", "one", "two"].slice(left.length));
    await fetchBundles(networks());
    expect(problem.value).toBeNull();
    expect(fetched).toHaveLength(2 * (4 - left.length) + 2);
    expect(names(classifiers())).toEqual(["one", "two"]);
    expect(leftovers()).toEqual([]);
  });

test("a network that came before the download broke off can be asked", async () => {
  lose("two/card.json");
  await fetchBundles(networks());
  expect(names(classifiers())).toEqual(["one"]);
  expect(names(missing(networks()))).toEqual(["two"]);
  expect(describe(problem.value)).toContain("Kept of it: ONNX Runtime, gatekeeper, lungs, one.");
});

test("a connection that ends within a file is a download that broke off", async () => {
  const { href } = new URL("two/model.onnx", new URL("api/device", ADDRESS));
  const whole = fetch;
  vi.stubGlobal("fetch", async (address: URL) => {
    if (address.href !== href) return whole(address);
    return new Response(new ReadableStream({ pull: (controller) => controller.error(new TypeError("network error")) }));
  });
  await fetchBundles(networks());
  expect(describe(problem.value)).toMatch(
    /^The download broke off.*Kept of it: ONNX Runtime, gatekeeper, lungs, one\.$/,
  );
});

for (const file of ["model.onnx", "bundle.json"])
  test(`without room for ${file} nothing of its bundle is left, and the sentence says what to do`, async () => {
    const { identity } = bundles.find(({ name }) => name === "one") as ListedBundle;
    full = `${identity}/${file}`;
    await fetchBundles(networks());
    expect(describe(problem.value)).toMatch(
      /^This browser has no room .* Kept of it: ONNX Runtime, gatekeeper, lungs\.$/,
    );
    expect([...stored.keys()].some((url) => url.includes(identity))).toBe(false);
  });

test("what a network is comes from its card and not from the list", async () => {
  for (const bundle of bundles) Object.assign(bundle, { stamps: [], synthetic: false, labels: ["certified"] });
  Object.assign(bundles[0] as ListedBundle, { name: "Certified", audit: "passed" });
  Object.assign(bundles[1] as ListedBundle, { audit: "not audited" });
  await fetchBundles(networks());
  const [one, two] = classifiers();
  expect(one).toMatchObject({ name: "one", stamps: ["confounded"], synthetic: true, labels: ["pneumonia", "normal"] });
  expect(two?.stamps).toEqual(["not audited", "confounded"]);
});

test("a browser that is set to keep nothing is said to be", async () => {
  vi.stubGlobal("caches", { open: () => Promise.reject(new DOMException("denied", "SecurityError")) });
  await readState();
  expect(denied.value).toBe(true);
  vi.stubGlobal("caches", { open: async () => cache });
  await readState();
  expect(denied.value).toBe(false);
});

test("a bundle of which a file is gone is not kept", async () => {
  await fetchBundles(networks());
  stored.delete(`https://bundles.invalid/${networks()[0]}/model.onnx`);
  await readState();
  expect(names(kept.value ?? [])).toEqual(["gatekeeper", "lungs", "two"]);
  expect(names(missing(networks()))).toEqual(["one"]);
});

for (const [name, file] of [
  ["gatekeeper", "model.onnx"],
  ["lungs", "card.json"],
  ["two", "model.onnx"],
] as const)
  test(`a damaged ${file} of ${name} is deleted, and the next download fetches it`, async () => {
    await fetchBundles(networks());
    const { identity } = bundles.find((one) => one.name === name) as ListedBundle;
    stored.set(`https://bundles.invalid/${identity}/${file}`, new TextEncoder().encode("something else"));
    await readState();
    const words = "A file kept on this device was damaged and has been deleted: download it again.";
    expect(describe(problem.value)).toBe(`${words} (${name}: ${file})`);
    expect(names(classifiers())).toEqual(name === "two" ? ["one"] : []);
    expect(names(missing(networks()))).toEqual([name]);
    expect([...stored.keys()].some((url) => url.includes(identity))).toBe(false);
    await fetchBundles(networks());
    expect(problem.value).toBeNull();
    expect(names(classifiers())).toHaveLength(2);
  });

test("a bundle whose entry is no JSON is not kept", async () => {
  await fetchBundles(networks());
  stored.set(`https://bundles.invalid/${networks()[0]}/bundle.json`, new TextEncoder().encode("{"));
  await readState();
  expect(names(missing(networks()))).toEqual(["one"]);
});

test("gatekeeper and lungs are removed with the last network", async () => {
  await fetchBundles(networks());
  const [one, two] = networks() as [string, string];
  await remove([one]);
  expect(names(kept.value ?? [])).toEqual(["gatekeeper", "lungs", "two"]);
  await remove([two]);
  expect(kept.value).toEqual([]);
  expect(stored.size).toBe(0);
});

for (const text of ["{", "null", "[]", '{"schema_version": 1}', '{"schema_version": 1, "bundles": [{"name": "one"}]}'])
  test(`a list that holds ${text} gives one plain sentence`, async () => {
    vi.stubGlobal("fetch", async () => new Response(text));
    await readOffer();
    expect(offered.value).toBeNull();
    expect(describe(offerProblem.value)).toMatch(
      /^The list of networks can't be read, [^.]*\. \(\/app\/api\/device\)$/,
    );
  });

test("a list that is whole is offered", async () => {
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ schema_version: 1, bundles })));
  await readOffer();
  expect(offered.value?.bundles).toEqual(bundles);
  expect(offerProblem.value).toBeNull();
});

const firstModel = () => {
  const [bundle] = classifiers() as [ListedBundle];
  const card = cards.value[bundle.identity] as NonNullable<(typeof cards.value)[string]>;
  return modelOf(bundle, { ...card, not_looked_for: [] }, facts.value[bundle.identity] ?? null);
};

test("a downloaded network brings the openings of its test images", async () => {
  await fetchBundles(networks());
  expect(knowsEvidence(firstModel())).toBe(true);
  expect(listOpenings(firstModel())).toEqual([OPENING]);
});

test("without evidence the page does not claim that there was no opening", async () => {
  offered.value = { schema_version: 1, bundles: bundles.map(({ evidence: _, ...rest }) => rest) };
  await fetchBundles(networks());
  expect(listOpenings(firstModel())).toEqual([]);
  expect(knowsEvidence(firstModel())).toBe(false);
});

test("what became known since the download is taken over", async () => {
  await fetchBundles(networks());
  const audit = { kind: "audit", time: "2027-01-01T00:00:00Z", verdict: "fail" };
  const evidence = serve("one/evidence.json", JSON.stringify([OPENING, audit]));
  const [one, ...others] = bundles as [ListedBundle, ...ListedBundle[]];
  offered.value = { schema_version: 1, bundles: [{ ...one, evidence, audit: "failed", stamps: [] }, ...others] };
  await renewFacts();
  expect(firstModel().audit).toBe("failed");
  expect(firstModel().evidence).toEqual([OPENING, audit]);
  await readState(); // it was kept
  expect(firstModel().audit).toBe("failed");
  expect(firstModel().evidence).toEqual([OPENING, audit]);
});

test("what runs the networks is downloaded with the first one, and its size is said before", async () => {
  const sizes = bundles.reduce((sum, bundle) => sum + (bundle.evidence?.bytes ?? 0), 0);
  const files = bundles.reduce((sum, { card, model }) => sum + card.bytes + model.bytes, sizes);
  expect(missingSize(networks())).toBe(files + 11);
  await fetchBundles(networks());
  const bytes = [...stored].filter(([url]) => !url.endsWith("/bundle.json")).map(([, { length }]) => length);
  expect(bytes.reduce((sum, length) => sum + length)).toBe(files + 11);
  expect(keptSize()).toBe(files + 11);
  expect(missingSize(networks())).toBe(0);
});

test("a broken download of what runs the networks keeps nothing", async () => {
  const restore = lose("runtime.wasm");
  await fetchBundles(networks());
  expect(describe(problem.value)).toMatch(/^The download broke off\..* Nothing of it was kept\.$/);
  expect(leftoverNames()).toEqual([]);
  restore();
  await fetchBundles(networks());
  expect(names(classifiers())).toEqual(["one", "two"]);
});

test("what runs the networks is fetched again where it is of another version", async () => {
  await fetchBundles(networks());
  const [old] = [...stored.keys()].filter((url) => url.includes("/runtime/")) as [string];
  stored.set(`${old}0`, stored.get(old) as Uint8Array<ArrayBuffer>);
  stored.delete(old);
  await readState();
  expect(classifiers()).toEqual([]);
  expect(lacksRuntime()).toBe(true);
  expect(missingSize(networks())).toBe(11);
  fetched.length = 0;
  await fetchBundles([]);
  expect(fetched).toEqual(["/app/assets/runtime.wasm"]);
  expect([...stored.keys()].filter((url) => url.includes("/runtime/"))).toEqual([old]);
  expect(names(classifiers())).toEqual(["one", "two"]);
});

test("a label of the user's own has its name in the page's language before and after the download", async () => {
  language.value = "de";
  modelLabels.value = {};
  const label_names = { pneumonia2: { en: "Pneumonia II", de: "Pneumonie II" } };
  const listed = { schema_version: 1, bundles: bundles.map((bundle) => ({ ...bundle, label_names })) };
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify(listed)));
  await readOffer();
  expect(labelName("pneumonia2")).toBe("Pneumonie II");
  modelLabels.value = {};
  learnLabels({ labels: [{ name: "own", names: { de: "Eigenes" } }, { name: "normal" }] } as unknown as ClassifierCard);
  expect(labelName("own")).toBe("Eigenes");
  language.value = "en";
});
