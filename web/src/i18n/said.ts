// Sentences that the server writes in English, such as a card's limits and an archive's errors, in the page's language.
// The English catalogue has each sentence as it is written, with {places} for what differs; so it is known again.
import de from "./de.json";
import en from "./en.json";
import { language, modelLabels } from "./index";
import labels from "./labels.json";

type Messages = Record<string, string>;
const TRANSLATED: Record<string, Messages> = { de };
export type Speaker = "card" | "archive" | "measured" | "evidence" | "gate" | "method";

interface Known {
  pattern: RegExp;
  key: string;
}

/** Words of the places. */
const WORDS = Object.entries(en as Messages).filter(([key]) => key.startsWith("said.word-"));
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
  const words = new Map<string, string>();
  for (const [label, names] of Object.entries({ ...modelLabels.value, ...(labels as Record<string, Messages>) })) {
    const [own, other] = [names.en ?? label, names[language.value]];
    if (!other) continue;
    words.set(lowerFirst(own), other); // inside a sentence
    words.set(own, other);
  }
  words.set("Normal", messages["model.class-normal"] ?? "Normal");
  for (const [key, word] of WORDS) words.set(word, messages[key] ?? word);
  let said = replaceWords(value, words);
  said = said.replace(/\[(\d[\d.]*%?), (\d[\d.]*%?)\]/g, "[$1; $2]"); // a comma may be a decimal one
  said = said.replace(/(\d)%/g, "$1\u00a0%");
  return said.replace(/(?<![\w.,-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w-]|[.,]\d)/g, (number) => {
    const decimals = number.split(".")[1]?.length ?? 0;
    const grouped = number.includes(",");
    return grouped || decimals
      ? Number(number.replaceAll(",", "")).toLocaleString(language.value, { minimumFractionDigits: decimals })
      : number;
  });
}

const lowerFirst = (name: string) => (/^\p{Lu}{2}/u.test(name) ? name : name.charAt(0).toLowerCase() + name.slice(1));

/** Replace words and phrases by others, in one pass: a phrase comes before its words, and what was put in stays. */
function replaceWords(text: string, words: ReadonlyMap<string, string>): string {
  const escaped = [...words.keys()]
    .filter(Boolean)
    .sort((first, second) => second.length - first.length)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = `(?<![\\p{L}\\p{N}_-])(?:${escaped.join("|")})(?![\\p{L}\\p{N}_-])`;
  return text.replace(new RegExp(pattern, "gu"), (word) => words.get(word) ?? word);
}
