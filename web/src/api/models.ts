// The models of this server, fetched once and shared by every page that names one; and which ones this browser asks by habit.
import { effect, signal } from "@preact/signals";
import { api, body } from "./client";
import type { Model } from "./types";

const REMEMBERED = "pneumoscope.models";

/** All models, the built-in one first; null until the server has answered. */
export const models = signal<Model[] | null>(null);
let asked: Promise<Model[]> | null = null;

/** Return the models; the server is asked once, or `again` (after one was switched). */
export function loadModels(again = false): Promise<Model[]> {
  if (again) asked = null;
  asked ??= body(api.GET("/api/models")).then(
    (found) => {
      models.value = found;
      return found;
    },
    (error) => {
      asked = null;
      throw error;
    },
  );
  return asked;
}

/** Return a model's name and version, or its number where it is no longer on this server. */
export function nameOf(id: string): string {
  const found = models.value?.find((model) => model.id === id);
  return found ? `${found.name} ${found.version}` : id;
}

/** What this browser asked last, by number; of those that are there and on. Chosen anew, it is remembered. */
export const habit = signal<string[]>([]);
let known = false;

/** Read the habit once the models are known; without one, all models that are on are asked. */
export async function loadHabit(): Promise<void> {
  if (known) return;
  const on = (await loadModels()).filter((model) => model.on).map((model) => model.id);
  if (known) return;
  known = true;
  const before = remembered();
  const still = before?.filter((id) => on.includes(id));
  habit.value = still && (still.length > 0 || before?.length === 0) ? still : on.slice(0, 1);
  effect(() => localStorage.setItem(REMEMBERED, JSON.stringify(habit.value)));
}

function remembered(): string[] | null {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(REMEMBERED) ?? "null");
    return Array.isArray(value) ? value.filter((id) => typeof id === "string") : null;
  } catch {
    return null;
  }
}
