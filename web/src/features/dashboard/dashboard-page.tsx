// What reads, answers and reference results come to on this server, and how it runs. Agreement is not accuracy: whoever
// was right can be said only of studies that have a reference standard, and how many those are stands first.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body, me } from "../../api/client";
import type { components } from "../../api/schema";
import { Confirm } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { number, t, word } from "../../i18n";
import { Accuracies, Verified } from "./accuracy";
import { Agreements } from "./agreement";
import { Operations } from "./operations";
import { ByReader, Changes } from "./readers";
import "./dashboard.css";

export type Board = components["schemas"]["DashboardOut"];
export type Figures = components["schemas"]["SiteFigures"];

export default function Dashboard() {
  const board = useSignal<Board | null>(null);
  const problem = useSignal<unknown>(null);
  const model = useSignal("");
  const from = useSignal("");
  const to = useSignal("");
  const all = useSignal(false);
  const asking = useSignal(false);
  const tries = useSignal(0);
  useEffect(() => {
    let left = false;
    const query = {
      ...(model.value && { model: model.value }),
      ...(from.value && { from: from.value }),
      ...(to.value && { to: to.value }),
      scope: all.value ? ("all" as const) : ("own" as const),
    };
    body(api.GET("/api/dashboard", { params: { query } })).then(
      (found) => {
        if (left) return;
        board.value = found;
        problem.value = null;
      },
      (error: unknown) => {
        if (!left) problem.value = error;
      },
    );
    return () => {
      left = true;
    };
  }, [model.value, from.value, to.value, all.value, tries.value]);
  const found = board.value;
  return (
    <div class="page dash">
      <h1>{t("nav.dashboard")}</h1>
      <search class="inline">
        <label class="field">
          <span>{t("dash.model")}</span>
          <select
            value={model.value || found?.model?.id || ""}
            onChange={(event) => {
              model.value = event.currentTarget.value;
            }}
          >
            {found?.models.length === 0 && <option value="">{t("dash.no-model")}</option>}
            {found?.models.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name ? `${one.name} ${one.version}` : one.id} ({number(one.answers, 0)})
              </option>
            ))}
          </select>
        </label>
        <Day
          label={t("work.from")}
          value={from.value}
          set={(day) => {
            from.value = day;
          }}
        />
        <Day
          label={t("work.to")}
          value={to.value}
          set={(day) => {
            to.value = day;
          }}
        />
        {me.value?.role === "admin" && (
          <label class="check">
            <input
              type="checkbox"
              checked={all.value}
              onChange={(event) => {
                if (!event.currentTarget.checked) all.value = false;
                else {
                  event.currentTarget.checked = false; // not before it is confirmed
                  asking.value = true;
                }
              }}
            />
            {t("dash.all")}
          </label>
        )}
      </search>
      {asking.value && (
        <Confirm
          title={t("dash.all-title")}
          doIt={t("dash.all-do")}
          act={async () => {
            all.value = true;
          }}
          onClose={() => {
            asking.value = false;
          }}
        >
          <p>{t("dash.all-what")}</p>
        </Confirm>
      )}
      {problem.value !== null && <ProblemNote error={problem.value} again={() => tries.value++} />}
      {!found && problem.value === null && <p class="soft">{t("app.loading")}</p>}
      {found && <Shown board={found} />}
    </div>
  );
}

function Day({ label, value, set }: { label: string; value: string; set: (day: string) => void }) {
  return (
    <label class="field">
      <span>{label}</span>
      <input type="date" value={value} onChange={(event) => set(event.currentTarget.value)} />
    </label>
  );
}

function Shown({ board }: { board: Board }) {
  const { figures } = board;
  return (
    <>
      <p class="soft small">
        <span lang="en">{board.scope_words}</span>{" "}
        {t("dash.counted", { counted: number(board.counted, 0), rest: number(board.not_counted, 0) })}
      </p>
      {figures && figures.counts.studies > 0 ? (
        <>
          <Warnings warnings={figures.warnings} />
          <section class="sheet" aria-labelledby="dash-accuracy">
            <h2 id="dash-accuracy">{t("dash.accuracy", { label: word("label", figures.primary) })}</h2>
            <Verified figures={figures} />
            <Accuracies figures={figures} />
          </section>
          <section class="sheet" aria-labelledby="dash-agreement">
            <h2 id="dash-agreement">{t("dash.agreement")}</h2>
            <Agreements figures={figures} />
          </section>
          <section class="sheet" aria-labelledby="dash-changes">
            <h2 id="dash-changes">{t("dash.changes")}</h2>
            <Changes figures={figures} />
          </section>
          {figures.by_reader.length > 0 && (
            <section class="sheet" aria-labelledby="dash-readers">
              <h2 id="dash-readers">{t("dash.by-reader")}</h2>
              <ByReader readers={figures.by_reader} />
            </section>
          )}
        </>
      ) : (
        <p class="empty">{t("dash.none")}</p>
      )}
      <section class="sheet" aria-labelledby="dash-operations">
        <h2 id="dash-operations">{t("dash.operations")}</h2>
        <Operations board={board} />
      </section>
    </>
  );
}

function Warnings({ warnings }: { warnings: string[] }) {
  const [first, ...rest] = warnings;
  return (
    <div class="note" lang="en">
      {first && (
        <p>
          <strong>{first}</strong>
        </p>
      )}
      {rest.length > 0 && (
        <ul>
          {rest.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
    </div>
  );
}
