// What somebody was typing, kept in this page's memory only: a session that ends on its own must not cost the text, and
// nothing about a patient may be left on the machine. Somebody else's login forgets it.
import { effect, type Signal, signal } from "@preact/signals";
import { me } from "./client";

const drafts = new Map<string, Signal<unknown>>();
const others = new Set<() => void>();
const unsaved = new Set<string>();
let owner: string | null = null;

effect(() => {
  const id = me.value?.id;
  if (id && id !== owner) {
    if (owner !== null) forget();
    owner = id;
  }
});

/** Return the draft of that name, the same signal after a login as before it. Names hold opaque numbers only. */
export function draft<T>(name: string, first: T): Signal<T> {
  const known = drafts.get(name) as Signal<T> | undefined;
  if (known) return known;
  const made = signal(first);
  drafts.set(name, made as Signal<unknown>);
  return made;
}

/** Forget one draft (it was sent), or all of them (its writer has logged out). */
export function forget(name?: string): void {
  if (name !== undefined) {
    drafts.delete(name);
    return;
  }
  drafts.clear();
  unsaved.clear();
  guard();
  for (const other of others) other();
}

/** Say whether a study has something typed that is not sent: as long as any has, the browser asks before the tab is closed. */
export function keep(study: string, typed: boolean): void {
  if (typed) unsaved.add(study);
  else unsaved.delete(study);
  guard();
}

const warn = (event: BeforeUnloadEvent) => event.preventDefault();

function guard(): void {
  if (unsaved.size > 0) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
}

/** Call `other` whenever all drafts are forgotten: something else in memory was its writer's too. */
export function forgetWith(other: () => void): void {
  others.add(other);
}
