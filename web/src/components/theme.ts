// The colour theme: dark unless the user chooses light, because radiographs are read in dark rooms.
import { effect, signal } from "@preact/signals";
import { keepPreference, readPreference } from "../preferences";

export type Theme = "dark" | "light";
const STORAGE_KEY = "pneumoscope.theme";

export const theme = signal<Theme>(readPreference(STORAGE_KEY) === "light" ? "light" : "dark");

/** Show the page in the chosen theme, now and after each change. */
export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}

export function setTheme(choice: Theme): void {
  theme.value = choice;
  keepPreference(STORAGE_KEY, choice);
}
