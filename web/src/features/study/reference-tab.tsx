// The reference standard, entered apart from every read: what a test other than the radiograph found.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body, Problem } from "../../api/client";
import type { Reference, ReferenceDraft } from "../../api/types";
import { ProblemNote } from "../../components/problem";
import { say } from "../../components/toast";
import { language, moment, t, word } from "../../i18n";
import { ownWord, readLabels } from "./read-form";
import { mayShow } from "./reading-phase";
import { type Desk, NO_REFERENCE } from "./study-store";

const STANDARDS = ["rt-pcr", "ct", "follow-up", "other"] as const;

export function References({ desk }: { desk: Desk }) {
  const list = useSignal<Reference[] | null>(null);
  const problem = useSignal<unknown>(null);
  const wanted = mayShow(desk.phase.value) && desk.tab.value === "reference";
  const path = { study: desk.id };
  const look = async () => {
    try {
      list.value = await body(api.GET("/api/studies/{study}/references", { params: { path } }));
      problem.value = null;
    } catch (error) {
      if (!(error instanceof Problem && error.status === 403)) problem.value = error;
    }
  };
  useEffect(() => {
    if (wanted) void look();
  }, [wanted]);
  return (
    <>
      <h2>{t("panel.references")}</h2>
      <p class="small soft">{t("panel.references-words")}</p>
      {!mayShow(desk.phase.value) && <p class="note">{t("panel.references-withheld")}</p>}
      {problem.value !== null && <ProblemNote error={problem.value} again={() => void look()} />}
      {list.value?.length === 0 && <p class="soft">{t("panel.references-none")}</p>}
      {list.value && list.value.length > 0 && <List references={list.value} />}
      <Entry
        desk={desk}
        done={async () => {
          if (mayShow(desk.phase.value)) await look();
        }}
      />
    </>
  );
}

function List({ references }: { references: Reference[] }) {
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
              <td>{word("panel.standard", one.standard)}</td>
              <td>{ownWord(one.label)}</td>
              <td>{one.date ? day(one.date) : t("panel.date-hidden")}</td>
              <td>{moment(one.at)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Entry({ desk, done }: { desk: Desk; done: () => Promise<void> }) {
  const typed = desk.reference;
  const { standard, label, date } = typed.value;
  const change = (to: Partial<ReferenceDraft>) => {
    typed.value = { ...typed.value, ...to };
  };
  const problem = useSignal<unknown>(null);
  const labels = [...new Set([...readLabels(desk), "other", "normal"])];
  const enter = async (event: Event) => {
    event.preventDefault();
    problem.value = null;
    try {
      const sent = typed.value;
      await body(api.POST("/api/studies/{study}/references", { params: { path: { study: desk.id } }, body: sent }));
      say(t("panel.reference-entered"));
      if (typed.value === sent) typed.value = { ...NO_REFERENCE, standard: sent.standard };
      await done();
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
                {word("panel.standard", one)}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>{t("panel.date")}</span>
          <input
            type="date"
            required
            max={today()}
            value={date}
            onInput={(event) => change({ date: event.currentTarget.value })}
          />
        </label>
      </div>
      <label class="field">
        <span>{t("panel.found")}</span>
        <select required value={label} onChange={(event) => change({ label: event.currentTarget.value })}>
          <option value="">{t("read.choose")}</option>
          {labels.map((one) => (
            <option key={one} value={one}>
              {ownWord(one)}
            </option>
          ))}
        </select>
      </label>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <div class="actions">
        <button type="submit" disabled={label === "" || date === ""}>
          {t("panel.reference-do")}
        </button>
      </div>
    </form>
  );
}

/** Return a day of the calendar in the page's language; it has no zone. */
function day(date: string): string {
  return new Date(`${date}T00:00:00`).toLocaleDateString(language.value, { dateStyle: "medium" });
}

function today(): string {
  const now = new Date();
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}
