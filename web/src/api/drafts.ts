// Unsaved text, in this page's memory only: a session that expires must not lose the text, and no text about a patient
// may stay on the machine. The login of another user deletes it.
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

/** Return the draft of that name: the same signal before and after a login. Names hold opaque identifiers only. */
export function openDraft<T>(name: string, initial: T): Signal<T> {
  const existing = drafts.get(name) as Signal<T> | undefined;
  if (existing) return existing;
  const created = signal(initial);
  drafts.set(name, created as Signal<unknown>);
  return created;
}

/** Delete one draft (it was sent), or all of them (the user has logged out). */
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

/** Set whether a study has unsaved text. While any study has some, the browser asks before it closes the tab. */
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

/** Call `listener` when all drafts are deleted, so that other data of the user can be deleted with them. */
export function onDraftsForgotten(listener: () => void): void {
  resetListeners.add(listener);
}
