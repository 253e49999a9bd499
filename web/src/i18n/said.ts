// Sentences that the server writes in English, such as a card's limits and an archive's errors, in the page's language.
// The English catalogue has each sentence as it is written, with {places} for what differs; so it is known again.
import de from "./de.json";
import en from "./en.json";
import { language } from "./index";
import labels from "./labels.json";

type Messages = Record<string, string>;
const TRANSLATED: Record<string, Messages> = { de };
export type Speaker = "card" | "archive" | "measured" | "evidence";

interface Known {
  pattern: RegExp;
  key: string;
}

/** Words of the places, the longest first: a phrase comes before its words. */
const WORDS = Object.entries(en as Messages)
  .filter(([key]) => key.startsWith("said.word-"))
  .sort(([, first], [, second]) => second.length - first.length);
const PATTERNS = new Map<string, Known[]>();

/** Return a sentence in the page's language; null where the page has no words for it, and in English. */
export function translateSaid(speaker: Speaker, text: string): string | null {
  const messages = TRANSLATED[language.value];
  if (!messages) return null;
  for (const { pattern, key } of patternsOf(speaker)) {
    const found = pattern.exec(text);
    if (found)
      return (messages[key] ?? "").replace(/\{(\w+)\}/g, (_, name: string) => {
        const value = found.groups?.[name] ?? "";
        return translateSaid(speaker, value) ?? translateValue(messages, value);
      });
  }
  return null;
}

function patternsOf(speaker: Speaker): Known[] {
  const known =
    PATTERNS.get(speaker) ?? Object.entries(en as Messages).flatMap(([key, text]) => patternOf(speaker, key, text));
  PATTERNS.set(speaker, known);
  return known;
}

function patternOf(speaker: Speaker, key: string, text: string): Known[] {
  const prefix = `said.${speaker}`;
  if (!key.startsWith(`${prefix}-`)) return [];
  const parts = text.split(/\{(\w+)\}/); // every second part is a place's name
  const source = parts.map((part, place) =>
    place % 2 ? `(?<${part}>.+?)` : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"),
  );
  return [{ pattern: new RegExp(`^${source.join("")}$`, "s"), key }];
}

/** Return what stands in a place: names of labels, numbers and the words of `said.word-…` in the page's language. */
function translateValue(messages: Messages, value: string): string {
  let said = value;
  for (const names of Object.values(labels as Record<string, Messages>))
    if (names.en) said = replaceWord(said, names.en, names[language.value] ?? names.en);
  said = replaceWord(said, "Normal", messages["label.normal"] ?? "Normal");
  for (const [key, word] of WORDS) said = replaceWord(said, word, messages[key] ?? word);
  return said.replace(/(?<![\w.,-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w-]|[.,]\d)/g, (number) => {
    const decimals = number.split(".")[1]?.length ?? 0;
    const grouped = number.includes(",");
    return grouped || decimals
      ? Number(number.replaceAll(",", "")).toLocaleString(language.value, { minimumFractionDigits: decimals })
      : number;
  });
}

function replaceWord(text: string, word: string, other: string): string {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return text.replace(new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`, "g"), () => other);
}
