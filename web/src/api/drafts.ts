// What somebody was typing, kept in this page's memory only: a session that ends on its own must not cost the text, and
// nothing about a patient may be left on the machine. Somebody else's login forgets it.
import { effect, type Signal, signal } from "@preact/signals";
import { me } from "./client";

const drafts = new Map<string, Signal<unknown>>();
const resetListeners = new Set<() => void>();
const unsavedStudies = new Set<string>();
let owner: string | null = null;

effect(() => {
  const id = me.value?.id;
  if (id && id !== owner) {
    if (owner !== null) forgetDrafts();
    owner = id;
  }
});

/** Return the draft of that name, the same signal after a login as before it. Names hold opaque numbers only. */
export function openDraft<T>(name: string, initial: T): Signal<T> {
  const existing = drafts.get(name) as Signal<T> | undefined;
  if (existing) return existing;
  const created = signal(initial);
  drafts.set(name, created as Signal<unknown>);
  return created;
}

/** Forget one draft (it was sent), or all of them (its writer has logged out). */
export function forgetDrafts(name?: string): void {
  if (name !== undefined) {
    drafts.delete(name);
    return;
  }
  drafts.clear();
  unsavedStudies.clear();
  updateUnloadWarning();
  for (const listener of resetListeners) listener();
}

/** Say whether a study has something typed that is not sent: as long as any has, the browser asks before the tab is closed. */
export function markUnsaved(study: string, hasText: boolean): void {
  if (hasText) unsavedStudies.add(study);
  else unsavedStudies.delete(study);
  updateUnloadWarning();
}

const preventUnload = (event: BeforeUnloadEvent) => event.preventDefault();

function updateUnloadWarning(): void {
  if (unsavedStudies.size > 0) addEventListener("beforeunload", preventUnload);
  else removeEventListener("beforeunload", preventUnload);
}

/** Call `other` whenever all drafts are forgotten: something else in memory was its writer's too. */
export function onDraftsForgotten(listener: () => void): void {
  resetListeners.add(listener);
}
