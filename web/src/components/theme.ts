// Dark unless somebody chose light: a reading room is dark.
import { effect, signal } from "@preact/signals";

export type Theme = "dark" | "light";
const REMEMBERED = "pneumoscope.theme";

export const theme = signal<Theme>(globalThis.localStorage?.getItem(REMEMBERED) === "light" ? "light" : "dark");

/** Show the page in the chosen theme, now and whenever it is chosen anew. */
export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}

export function choose(chosen: Theme): void {
  theme.value = chosen;
  localStorage.setItem(REMEMBERED, chosen);
}
