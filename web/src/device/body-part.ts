// Which part of the body a DICOM file names, by the tables of pneumoscope.bundle.body_parts.
import rules from "./rules.json";

const T = rules.bodyParts;
const has = (table: readonly string[], words: Iterable<string>) => [...words].some((word) => table.includes(word));

/** Return the part that a term names; "unspecific": none. */
export function bodyPartOf(term: string): "chest" | "other" | "unknown" | "unspecific" {
  const text = term.trim().toUpperCase().normalize("NFKD").replace(/\p{M}/gu, "").normalize("NFC");
  if (T.unspecific.includes(text)) return "unspecific";
  const codes = text.split(/\s+/).map((word) => word.replace(/[^0-9A-Z]/g, ""));
  const words = text.match(/\p{L}+/gu) ?? [];
  if (
    has(T.other_codes, codes) ||
    has(T.negation, words) ||
    has(T.spine_or_breast, words) ||
    words.some((word) => /(SPINE|WIRBELSAULE|WIRBELSAEULE|WIRBEL)$|[椎乳]/.test(word))
  )
    return "other";
  if (has(T.chest_codes, codes) || has(T.chest, words) || text.includes("胸")) return "chest";
  return has(T.other, words) ? "other" : "unknown";
}
