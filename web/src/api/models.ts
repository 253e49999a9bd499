// The models of this server, fetched once and shared by every page that names one; and which ones this browser asks by habit.
import { effect, signal } from "@preact/signals";
import { api, body } from "./client";
import type { Model } from "./types";

const STORAGE_KEY = "pneumoscope.models";

/** All models, the built-in one first; null until the server has answered. */
export const models = signal<Model[] | null>(null);
let request: Promise<Model[]> | null = null;

/** Return the models; the server is asked once, or `again` (after one was switched). */
export function loadModels(refresh = false): Promise<Model[]> {
  if (refresh) request = null;
  request ??= body(api.GET("/api/models")).then(
    (list) => {
      models.value = list;
      return list;
    },
    (error) => {
      request = null;
      throw error;
    },
  );
  return request;
}

/** Return a model's name and version, or its number where it is no longer on this server. */
export function modelName(id: string): string {
  const model = models.value?.find((model) => model.id === id);
  return model ? `${model.name} ${model.version}` : id;
}

/** What this browser asked last, by number; of those that are there and on. Chosen anew, it is remembered. */
export const defaultModels = signal<string[]>([]);
let loaded = false;

/** Read the habit once the models are known; without one, all models that are on are asked. */
export async function loadDefaultModels(): Promise<void> {
  if (loaded) return;
  const enabled = (await loadModels()).filter((model) => model.on).map((model) => model.id);
  if (loaded) return;
  loaded = true;
  const stored = readStoredModels();
  const available = stored?.filter((id) => enabled.includes(id));
  defaultModels.value = available && (available.length > 0 || stored?.length === 0) ? available : enabled.slice(0, 1);
  effect(() => localStorage.setItem(STORAGE_KEY, JSON.stringify(defaultModels.value)));
}

function readStoredModels(): string[] | null {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "null");
    return Array.isArray(value) ? value.filter((id) => typeof id === "string") : null;
  } catch {
    return null;
  }
}
