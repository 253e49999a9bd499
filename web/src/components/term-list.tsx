// Terms of the server, such as what a model does not look for: in the page's language where it knows them.
import { findTerm, language } from "../i18n";

export function TermList({ terms }: { terms: readonly string[] }) {
  const translated = terms.map(findTerm);
  return (
    <>
      {terms.map((term, place) => (
        <span key={term} lang={translated[place] === null && language.value !== "en" ? "en" : undefined}>
          {place > 0 && ", "}
          {translated[place] ?? term}
        </span>
      ))}
    </>
  );
}
