// Search by a patient's name or PatientID, for accounts that may see names. The text is sent in the body of the
// request, since addresses are logged; the list is then filtered by the pseudonym.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { formatPersonName } from "./patient-names";

type Person = components["schemas"]["PersonOut"];

export function PersonSearch({ choose }: { choose: (patient: string) => void }) {
  const matches = useSignal<Person[] | null>(null);
  const problem = useSignal<unknown>(null);
  const search = async (text: string) => {
    problem.value = null;
    matches.value = null;
    if (text.trim().length < 2) return;
    try {
      const people = await body(api.POST("/api/patients/search", { body: { text: text.trim() } }));
      const [only] = people;
      if (people.length === 1 && only) choose(only.patient);
      else matches.value = people;
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <form
      class="person-search"
      onSubmit={(event) => {
        event.preventDefault();
        void search(String(new FormData(event.currentTarget).get("text") ?? ""));
      }}
    >
      <label class="field">
        <span>{t("work.by-person")}</span>
        <input type="search" name="text" autocomplete="off" spellcheck={false} maxLength={256} />
      </label>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      {matches.value && (
        <ul class="plain" role="status">
          {matches.value.length === 0 && <li class="soft small">{t("work.no-person")}</li>}
          {matches.value.map(({ patient, name }) => (
            <li key={patient}>
              <button
                type="button"
                class="linkish"
                onClick={() => {
                  matches.value = null;
                  choose(patient);
                }}
              >
                {formatPersonName(name)} <code class="soft">{patient.slice(0, 9)}</code>
              </button>
            </li>
          ))}
        </ul>
      )}
    </form>
  );
}
