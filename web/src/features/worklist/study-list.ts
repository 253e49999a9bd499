// The worklist's studies: fetched by pages, newest first, and updated by the server's stream of changes.
import { batch, effect, signal } from "@preact/signals";
import { api, body, me, Problem } from "../../api/client";
import { markUnsaved } from "../../api/drafts";
import { type Change, watch } from "../../api/events";
import type { Study } from "../../api/types";

export interface Filter {
  patient: string;
  model: string;
  state: string;
  /** Days of this machine's calendar, YYYY-MM-DD; both are within. */
  from: string;
  to: string;
  /** "1": only studies without a final report of one's own. */
  unread: string;
  /** Key of a label of one's own. */
  label: string;
}
export const NO_FILTER: Filter = { patient: "", model: "", state: "", from: "", to: "", unread: "", label: "" };

export type Column = "patient" | "exam" | "view" | "received" | "read";
export interface Order {
  column: Column;
  descending: boolean;
}

const PAGE = 100;
const MAX_STUDIES = 200;
/** Milliseconds: changes come in bursts, one an image. */
const SETTLE_DELAY = 400;
const MAX_SINGLE_FETCHES = 6;

export const filter = signal<Filter>(NO_FILTER);
/** Null until the server has answered. */
export const studies = signal<Study[] | null>(null);
export const next = signal<string | null>(null);
/** The number of studies that the filter lets through, counted up to 10,000. */
export const total = signal<number | null>(null);
/** By receipt the server sorts; by other columns the page sorts what it has loaded. */
export const order = signal<Order>({ column: "received", descending: true });
export const problem = signal<unknown>(null);
export const loading = signal(false);

effect(() => {
  if (me.value !== null) return;
  studies.value = null; // the next user must not see the list
  next.value = null;
  total.value = null;
});

/** Return the filter in a hash: a filtered list has its own address. */
export function parseFilter(hash: string): Filter {
  const parameters = new URLSearchParams(hash.split("?")[1] ?? "");
  return Object.fromEntries(Object.keys(NO_FILTER).map((key) => [key, parameters.get(key) ?? ""])) as unknown as Filter;
}

/** Return the hash of a filtered list. */
export function filterHash(filters: Filter): string {
  const set = Object.entries(filters).filter(([, value]) => value !== "");
  return set.length > 0 ? `#/?${new URLSearchParams(set)}` : "#/";
}

/** Return a filter as query parameters; a day becomes the times at which it begins and ends in this time zone. */
export function filterQuery(filters: Filter) {
  const midnight = (day: string, after: number) => {
    const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
    return new Date(year, month - 1, date + after).toISOString();
  };
  return {
    ...(filters.patient && { patient: filters.patient.trim() }),
    ...(filters.model && { model: filters.model }),
    ...(filters.state && { state: filters.state as "queued" | "running" | "done" | "failed" }),
    ...(filters.from && { received_from: midnight(filters.from, 0) }),
    ...(filters.to && { received_to: midnight(filters.to, 1) }),
    ...(filters.unread && { unread: true }),
    ...(filters.label && { label: filters.label }),
  };
}

const READ_ORDER: Study["own_read"][] = ["none", "shown", "draft", "unaided", "final"];

/**
 * Return studies in an order of the list; equal ones keep their places.
 * @param namePatient Returns what the list shows for a patient.
 * @param findExam Returns the date of a study's examination, where the account may know it.
 */
export function sortStudies(
  list: readonly Study[],
  { column, descending }: Order,
  namePatient: (study: Study) => string,
  findExam: (study: Study) => string,
): readonly Study[] {
  if (column === "received") return list; // the server has sorted
  const sign = descending ? -1 : 1;
  const compareTexts = (text: (study: Study) => string) => (a: Study, b: Study) =>
    sign * text(a).localeCompare(text(b));
  const compare = {
    patient: compareTexts(namePatient),
    exam: compareTexts(findExam),
    view: compareTexts((study) => study.images[0]?.facts.view ?? ""),
    read: (a: Study, b: Study) => sign * (READ_ORDER.indexOf(a.own_read) - READ_ORDER.indexOf(b.own_read)),
  }[column];
  return [...list].sort(compare);
}

/** Return the list after its first pages were fetched again. What lies beyond them stays: the list keeps its length. */
export function mergePages(fresh: readonly Study[], known: readonly Study[], oldestFirst: boolean): Study[] {
  const last = fresh.at(-1);
  if (!last) return [];
  const ids = new Set(fresh.map(({ id }) => id));
  const isBeyond = (study: Study) => (oldestFirst ? study.received > last.received : study.received < last.received);
  return [...fresh, ...known.filter((study) => !ids.has(study.id) && isBeyond(study))];
}

function isOldestFirst(): boolean {
  return order.value.column === "received" && !order.value.descending;
}

/** Sort by a column; the same column again turns the order around. */
export function sortBy(column: Column): void {
  const before = order.value;
  const wasOldestFirst = isOldestFirst();
  const descending = before.column === column ? !before.descending : column === "received";
  order.value = { column, descending };
  if (isOldestFirst() === wasOldestFirst) return;
  studies.value = null;
  void reload();
}

let latestRequest = 0;
/** The query of the list that is shown. */
let listed = "";

/** Fetch the list again, with as many studies as it shows. */
export async function reload(): Promise<void> {
  latestRequest += 1;
  const request = latestRequest;
  loading.value = true;
  const limit = Math.min(MAX_STUDIES, Math.max(PAGE, studies.value?.length ?? 0));
  const oldestFirst = isOldestFirst();
  try {
    const query = { ...filterQuery(filter.value), order: oldestFirst ? ("oldest" as const) : ("newest" as const) };
    const page = await body(api.GET("/api/studies", { params: { query: { ...query, limit } } }));
    if (request !== latestRequest) return;
    const isSameList = listed === JSON.stringify(query);
    listed = JSON.stringify(query);
    batch(() => {
      const merged = isSameList ? mergePages(page.studies, studies.value ?? [], oldestFirst) : page.studies;
      if (merged.length === page.studies.length) next.value = page.next;
      studies.value = merged;
      total.value = page.total ?? null;
      problem.value = null;
    });
  } catch (error) {
    if (request === latestRequest) problem.value = error;
  } finally {
    if (request === latestRequest) loading.value = false;
  }
}

/** Fetch the next page. */
export async function loadMore(): Promise<void> {
  const after = next.value;
  if (after === null || loading.value) return;
  const request = latestRequest;
  loading.value = true;
  try {
    const sorted = isOldestFirst() ? ("oldest" as const) : ("newest" as const);
    const query = { ...filterQuery(filter.value), order: sorted, limit: PAGE, after };
    const page = await body(api.GET("/api/studies", { params: { query } }));
    if (request !== latestRequest) return;
    const knownIds = new Set(studies.value?.map((study) => study.id));
    batch(() => {
      studies.value = [...(studies.value ?? []), ...page.studies.filter((study) => !knownIds.has(study.id))];
      next.value = page.next;
    });
  } catch (error) {
    problem.value = error;
  } finally {
    if (request === latestRequest) loading.value = false;
  }
}

/** Remove an erased study from the list. */
export function removeStudy(id: string): void {
  markUnsaved(id, false); // unsaved text about it can't be saved any more
  studies.value = studies.value?.filter((study) => study.id !== id) ?? null;
}

/** Update the list at changes on the server until the returned function is called. */
export function followChanges(): () => void {
  let changed: Change[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const settle = () => {
    const seen = changed;
    changed = [];
    timer = undefined;
    void catchUp(seen);
  };
  const stop = watch((change) => {
    changed.push(change);
    timer ??= setTimeout(settle, SETTLE_DELAY);
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

/** Fetch changed studies: a few listed ones one by one, otherwise the whole list. */
async function catchUp(changes: Change[]): Promise<void> {
  const erased = changes.filter(({ state }) => state === "erased").map(({ study }) => study);
  for (const id of erased) removeStudy(id);
  const listed = new Set(studies.value?.map((study) => study.id));
  const touched = [...new Set(changes.map(({ study }) => study))].filter((id) => !erased.includes(id));
  const known = touched.filter((id) => listed.has(id));
  const fresh = changes.some(({ kind, study, state }) => kind === "study" && state !== "erased" && !listed.has(study));
  if (fresh || filter.value.state !== "" || filter.value.unread !== "" || known.length > MAX_SINGLE_FETCHES)
    return reload();
  await Promise.all(known.map(refresh));
}

async function refresh(id: string): Promise<void> {
  try {
    const updated = await body(api.GET("/api/studies/{study}", { params: { path: { study: id } } }));
    studies.value = studies.value?.map((study) => (study.id === id ? updated : study)) ?? null;
  } catch (error) {
    if (error instanceof Problem && error.status === 404) removeStudy(id);
  }
}
