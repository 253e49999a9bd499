// Dark unless somebody chose light: a reading room is dark.
import { effect, signal } from "@preact/signals";

export type Theme = "dark" | "light";
const STORAGE_KEY = "pneumoscope.theme";

export const theme = signal<Theme>(globalThis.localStorage?.getItem(STORAGE_KEY) === "light" ? "light" : "dark");

/** Show the page in the chosen theme, now and whenever it is chosen anew. */
export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}

export function setTheme(choice: Theme): void {
  theme.value = choice;
  localStorage.setItem(STORAGE_KEY, choice);
}
