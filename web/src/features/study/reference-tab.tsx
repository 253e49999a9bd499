// The reference standard, entered apart from every read: what a test other than the radiograph found.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body, Problem } from "../../api/client";
import type { Reference, ReferenceDraft } from "../../api/types";
import { ProblemNote } from "../../components/problem";
import { showToast } from "../../components/toast";
import { formatDateTime, language, t, translateTerm } from "../../i18n";
import { ConclusionField } from "./conclusion-field";
import { asksForFindings, listReadLabels } from "./read-form";
import { readerTerm } from "./reader-term";
import { mayShowAnswers } from "./reading-phase";
import { EMPTY_REFERENCE, type StudyStore } from "./study-store";

const STANDARDS = ["rt-pcr", "ct", "follow-up", "other"] as const;

export function ReferenceTab({ store }: { store: StudyStore }) {
  const list = useSignal<Reference[] | null>(null);
  const problem = useSignal<unknown>(null);
  const visible = mayShowAnswers(store.phase.value) && store.tab.value === "reference";
  const path = { study: store.id };
  const load = async () => {
    try {
      list.value = await body(api.GET("/api/studies/{study}/references", { params: { path } }));
      problem.value = null;
    } catch (error) {
      if (!(error instanceof Problem && error.status === 403)) problem.value = error;
    }
  };
  useEffect(() => {
    if (visible) void load();
  }, [visible]);
  return (
    <>
      <h2>{t("panel.references")}</h2>
      <p class="small soft">{t("panel.references-words")}</p>
      {!mayShowAnswers(store.phase.value) && <p class="note">{t("panel.references-withheld")}</p>}
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void load()} />}
      {list.value?.length === 0 && <p class="soft">{t("panel.references-none")}</p>}
      {list.value && list.value.length > 0 && <ReferenceTable references={list.value} />}
      <ReferenceForm
        store={store}
        onEntered={async () => {
          if (mayShowAnswers(store.phase.value)) await load();
        }}
      />
    </>
  );
}

function ReferenceTable({ references }: { references: Reference[] }) {
  return (
    <div class="scroll">
      <table class="small">
        <thead>
          <tr>
            <th scope="col">{t("panel.standard")}</th>
            <th scope="col">{t("panel.found")}</th>
            <th scope="col">{t("panel.date")}</th>
            <th scope="col">{t("panel.entered")}</th>
          </tr>
        </thead>
        <tbody>
          {references.map((one) => (
            <tr key={one.id}>
              <td>{translateTerm("panel.standard", one.standard)}</td>
              <td>{readerTerm(one.label)}</td>
              <td>{one.date ? formatDay(one.date) : t("panel.date-hidden")}</td>
              <td>{formatDateTime(one.at)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ReferenceForm({ store, onEntered }: { store: StudyStore; onEntered: () => Promise<void> }) {
  const draft = store.reference;
  const { standard, label, date } = draft.value;
  const change = (to: Partial<ReferenceDraft>) => {
    draft.value = { ...draft.value, ...to };
  };
  const problem = useSignal<unknown>(null);
  const enter = async (event: Event) => {
    event.preventDefault();
    problem.value = null;
    try {
      const submitted = draft.value;
      await body(
        api.POST("/api/studies/{study}/references", { params: { path: { study: store.id } }, body: submitted }),
      );
      showToast(t("panel.reference-entered"));
      if (draft.value === submitted) draft.value = { ...EMPTY_REFERENCE, standard: submitted.standard };
      await onEntered();
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <form class="report" onSubmit={enter}>
      <h3>{t("panel.reference-enter")}</h3>
      <div class="pair">
        <label class="field">
          <span>{t("panel.standard")}</span>
          <select
            value={standard}
            onChange={(event) => change({ standard: event.currentTarget.value as ReferenceDraft["standard"] })}
          >
            {STANDARDS.map((one) => (
              <option key={one} value={one}>
                {translateTerm("panel.standard", one)}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>{t("panel.date")}</span>
          <input
            type="date"
            required
            max={formatToday()}
            value={date}
            onInput={(event) => change({ date: event.currentTarget.value })}
          />
        </label>
      </div>
      <ConclusionField
        title={t("panel.found")}
        labels={listReadLabels(store)}
        several={asksForFindings(store)}
        value={label}
        onChange={(found) => change({ label: found ?? "" })}
      />
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <div class="actions">
        <button type="submit" disabled={label === "" || date === ""}>
          {t("panel.reference-do")}
        </button>
      </div>
    </form>
  );
}

/** Return a calendar day in the page's language; it has no time zone. */
function formatDay(date: string): string {
  return new Date(`${date}T00:00:00`).toLocaleDateString(language.value, { dateStyle: "medium" });
}

function formatToday(): string {
  const now = new Date();
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}
