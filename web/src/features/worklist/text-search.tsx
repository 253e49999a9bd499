// Search by what a study is known by: a patient's name, number or pseudonym, a file's name, a label of one's own. The
// text is sent in the body of the request, since addresses are logged; the list is then filtered by what was chosen.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { href } from "../../router";
import { formatPersonName } from "./patient-names";
import { type Filter, NO_FILTER } from "./study-list";

type Match = components["schemas"]["MatchOut"];

export function TextSearch({ set }: { set: (filter: Filter) => void }) {
  const matches = useSignal<Match[] | null>(null);
  const problem = useSignal<unknown>(null);
  const searching = useSignal(false);
  /** The number of the newest search: an older answer, or one after the page was left, does nothing. */
  const newest = useRef(0);
  useEffect(
    () => () => {
      newest.current = Number.NaN;
    },
    [],
  );
  const choose = ({ patient, label, study }: Match) => {
    matches.value = null;
    if (study) location.hash = href.study(study);
    else set({ ...NO_FILTER, ...(patient ? { patient } : { label: label ?? "" }) });
  };
  const search = async (text: string) => {
    newest.current += 1;
    const request = newest.current;
    problem.value = null;
    matches.value = null;
    searching.value = text.trim().length >= 2;
    if (!searching.value) return;
    try {
      const found = await body(api.POST("/api/search", { body: { text: text.trim() } }));
      if (request !== newest.current) return;
      const [only] = found;
      if (found.length === 1 && only) choose(only);
      else matches.value = found;
    } catch (error) {
      if (request === newest.current) problem.value = error;
    } finally {
      if (request === newest.current) searching.value = false;
    }
  };
  return (
    <form
      class="text-search"
      onSubmit={(event) => {
        event.preventDefault();
        void search(String(new FormData(event.currentTarget).get("text") ?? ""));
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") matches.value = null;
      }}
    >
      <label class="field">
        <span>{t("work.search")}</span>
        <input
          type="search"
          name="text"
          autocomplete="off"
          spellcheck={false}
          maxLength={256}
          placeholder={t("work.search-what")}
          title={t("work.search-note")}
        />
      </label>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <p class="soft small" role="status">
        {searching.value ? t("work.searching") : matches.value?.length === 0 && t("work.search-none")}
      </p>
      {matches.value && matches.value.length > 0 && (
        <ul class="plain">
          {matches.value.map((match) => (
            <li key={match.kind + (match.patient ?? match.study ?? match.label)}>
              <button type="button" class="linkish" onClick={() => choose(match)}>
                {match.kind === "patient" && match.text !== match.patient ? formatPersonName(match.text) : match.text}
              </button>{" "}
              <span class="soft small">
                {t(`work.search-${match.kind}`)}
                {match.patient && match.text !== match.patient && <code> {match.patient.slice(0, 9)}</code>}
              </span>
            </li>
          ))}
        </ul>
      )}
    </form>
  );
}
