// How the server runs: a page of its own, so that the dashboard holds what was read.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body } from "../../api/client";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { href } from "../../router";
import { Operations } from "./operations";
import type { DashboardReport } from "./types";
import "./dashboard.css";

export default function OperationsPage() {
  const report = useSignal<DashboardReport | null>(null);
  const problem = useSignal<unknown>(null);
  const load = () => {
    problem.value = null;
    body(api.GET("/api/dashboard", { params: { query: {} } })).then(
      (answer) => {
        report.value = answer;
      },
      (error: unknown) => {
        problem.value = error;
      },
    );
  };
  useEffect(load, []);
  return (
    <div class="page dash">
      <p class="small">
        <a href={href.dashboard()}>{t("nav.dashboard")}</a>
      </p>
      <h1>{t("dash.operations")}</h1>
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={load} />}
      {!report.value && problem.value === null && <p class="soft">{t("app.loading")}</p>}
      {report.value && <Operations board={report.value} />}
    </div>
  );
}
