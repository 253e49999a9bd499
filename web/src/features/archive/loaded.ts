// A value that a section of the page asks the server for, with the reason when it did not come.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export interface Loaded<T> {
  value: Signal<T | null>;
  problem: Signal<unknown>;
  /** Ask again. */
  load: () => Promise<void>;
}

/** Ask for a value when the section is shown, and again if `again` changes. */
export function useLoaded<T>(ask: () => Promise<T>, again: unknown = null): Loaded<T> {
  const value = useSignal<T | null>(null);
  const problem = useSignal<unknown>(null);
  const load = async () => {
    problem.value = null;
    try {
      value.value = await ask();
    } catch (error) {
      problem.value = error;
    }
  };
  useEffect(() => void load(), [again]);
  return { value, problem, load };
}
