// A sentence that the server wrote, in the page's language where that has words for it, else in English.
import { type Speaker, translateSaid } from "../i18n/said";

export function Said({ by, text }: { by: Speaker; text: string }) {
  const translated = translateSaid(by, text);
  return translated === null ? <span lang="en">{text}</span> : <>{translated}</>;
}
