// The models of this server, fetched once and shared by all pages, and the models that this browser asks by default.
import { effect, signal } from "@preact/signals";
import { modelLabels } from "../i18n";
import { nameAmong } from "../model-names";
import { keepPreference, readPreference } from "../preferences";
import { api, body } from "./client";
import type { Model } from "./types";

const STORAGE_KEY = "pneumoscope.models";

/** All models, the built-in one first; null until the server has answered. */
export const models = signal<Model[] | null>(null);
let request: Promise<Model[]> | null = null;

/** Return the models. They are fetched once; `refresh` fetches them again (after one was switched on or off). */
export function loadModels(refresh = false): Promise<Model[]> {
  if (refresh) request = null;
  request ??= body(api.GET("/api/models")).then(
    (list) => {
      models.value = list;
      modelLabels.value = Object.assign({}, ...list.map((model) => model.label_names));
      return list;
    },
    (error) => {
      request = null;
      throw error;
    },
  );
  return request;
}

/** Return what a model is called, or its identifier if it is no longer on this server. */
export function modelName(id: string): string {
  const model = models.value?.find((model) => model.id === id);
  return model ? nameAmong(model, models.value ?? []) : id;
}

/** The models that uploads ask: those asked last that are present and on. The browser stores their identifiers. */
export const defaultModels = signal<string[]>([]);
let loaded = false;

/** Read the stored default once the models are loaded. Without one, the first model that is on is the default. */
export async function loadDefaultModels(): Promise<void> {
  if (loaded) return;
  const enabled = (await loadModels()).filter((model) => model.on).map((model) => model.id);
  if (loaded) return;
  loaded = true;
  const stored = readStoredModels();
  const available = stored?.filter((id) => enabled.includes(id));
  defaultModels.value = available && (available.length > 0 || stored?.length === 0) ? available : enabled.slice(0, 1);
  effect(() => keepPreference(STORAGE_KEY, JSON.stringify(defaultModels.value)));
}

function readStoredModels(): string[] | null {
  try {
    const value: unknown = JSON.parse(readPreference(STORAGE_KEY) ?? "null");
    return Array.isArray(value) ? value.filter((id) => typeof id === "string") : null;
  } catch {
    return null;
  }
}
