// Pages are addressed by the hash (#/studies/ID), so that the server serves one page and need not trust request paths.
import { signal } from "@preact/signals";

export type Route =
  | { page: "worklist" }
  | { page: "study"; id: string }
  | { page: "models" }
  | { page: "model"; id: string }
  | { page: "monitor"; id: string }
  | { page: "dashboard" }
  | { page: "operations" }
  | { page: "archive" }
  | { page: "account" }
  | { page: "login" }
  | { page: "missing" };

/** The app that runs the networks in the browser, a page of its own that needs no server. */
export const DEVICE_PAGE = "device.html";

/** Return the page that a hash names. */
function parse(hash: string): Route {
  const parts = hash.replace(/^#?\/?/, "").split(/[/?]/);
  const [page = "", id = "", part = ""] = parts;
  if (page === "") return { page: "worklist" };
  if (page === "studies" && id) return { page: "study", id };
  if (page === "models" && id && part === "monitor") return { page: "monitor", id };
  if (page === "models") return id ? { page: "model", id } : { page: "models" };
  if (page === "dashboard" || page === "operations" || page === "archive") return { page };
  if (page === "account" || page === "login") return { page };
  return { page: "missing" };
}

export const route = signal<Route>(parse(globalThis.location?.hash ?? ""));
globalThis.addEventListener?.("hashchange", () => {
  route.value = parse(location.hash);
});

export const href = {
  worklist: () => "#/",
  study: (id: string) => `#/studies/${id}`,
  models: () => "#/models",
  model: (id: string) => `#/models/${id}`,
  monitor: (id: string) => `#/models/${id}/monitor`,
  dashboard: () => "#/dashboard",
  operations: () => "#/operations",
  archive: () => "#/archive",
  account: () => "#/account",
};
