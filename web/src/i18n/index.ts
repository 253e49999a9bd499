// One catalogue of messages per language. The English keys are the type of all keys; a test compares the catalogues.
import { computed, signal } from "@preact/signals";
import { splitDecision } from "../api/decision";
import { keepPreference, readPreference } from "../preferences";
import de from "./de.json";
import en from "./en.json";
import labels from "./labels.json";

export type Key = keyof typeof en;
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;
const CATALOGUES: Record<Language, Record<Key, string>> = { en, de };
const STORAGE_KEY = "pneumoscope.language";

export const language = signal<Language>(initialLanguage());
const catalogue = computed(() => CATALOGUES[language.value]);

/**
 * Return a message in the page's language with its {placeholders} filled in.
 * A count of 1 takes the singular message, `KEY.one`, if there is one.
 */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const messages: Record<string, string> = catalogue.value;
  const message = (values.count === 1 ? messages[`${key}.one`] : undefined) ?? catalogue.value[key];
  return message.replace(/\{(\w+)\}/g, (placeholder, name: string) => String(values[name] ?? placeholder));
}

/** Return the message for a term of the server (a label, a state), or the term itself if there is none. */
export function translateTerm(group: string, value: string): string {
  const messages: Record<string, string> = catalogue.value;
  return messages[`${group}.${value}`] ?? value;
}

type Names = Record<string, Record<string, string>>;

/** Names of the labels that the models of this server brought: label -> language -> name. */
export const modelLabels = signal<Names>({});

/** Return a label's name on screen: in the page's language, else in English, else the user's own words. */
export function labelName(label: string): string {
  if (label === "normal") return t("label.normal");
  const names = (labels as Names)[label] ?? modelLabels.value[label];
  return names?.[language.value] ?? names?.en ?? label;
}

/** Return the names of a decision's or conclusion's labels: of one, or of several findings. */
export function decisionLabels(decision: string): string {
  return splitDecision(decision).map(labelName).join(", ");
}

/** Return a term of the server in the page's language: its own message, or a label's name; null without either. */
export function findTerm(term: string): string | null {
  const inside = (name: string) => (/^\p{Lu}{2}/u.test(name) ? name : name.charAt(0).toLowerCase() + name.slice(1));
  const names = Object.values(labels as Names).find(({ en }) => en !== undefined && inside(en) === term);
  // An English term stays as the card writes it, inside a sentence.
  return findMessage(`term.${term}`, {}) ?? (language.value === "en" ? null : (names?.[language.value] ?? null));
}

/** Return a message by a key that may not exist; null if it does not, or if a placeholder has no value. */
export function findMessage(key: string, values: Record<string, unknown>): string | null {
  const messages: Record<string, string> = catalogue.value;
  let complete = true;
  const filled = messages[key]?.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (typeof value === "number") return value.toLocaleString(language.value);
    complete &&= typeof value === "string";
    return String(value);
  });
  return complete ? (filled ?? null) : null;
}

/** Return a number in the page's language, with a fixed count of decimals. */
export function formatNumber(value: number, decimals = 2): string {
  return value.toLocaleString(language.value, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** Return a date and time in the page's language and this machine's zone. */
export function formatDateTime(iso: string): string {
  return new Date(iso).toLocaleString(language.value, { dateStyle: "medium", timeStyle: "short" });
}

export function setLanguage(chosen: Language): void {
  language.value = chosen;
  keepPreference(STORAGE_KEY, chosen);
}

function initialLanguage(): Language {
  const candidates = [readPreference(STORAGE_KEY), globalThis.navigator?.language.slice(0, 2)];
  return (candidates.find((one) => one && one in LANGUAGES) ?? "en") as Language;
}
