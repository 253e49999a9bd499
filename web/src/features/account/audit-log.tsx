// The audit log for admins, newest entry first: each action in words, with the request beside it.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge } from "../../components/badge";
import { ProblemNote } from "../../components/problem";
import { ScrollArea } from "../../components/scroll-area";
import { t, translateTerm } from "../../i18n";

type Access = components["schemas"]["AccessOut"];
const PAGE = 50;

/** What every page asks by itself. Shown only where it was refused. */
const ROUTINE = new Set(["GET /api/about", "GET /api/me", "GET /api/events"]);

export function AuditLog() {
  const rows = useSignal<Access[] | null>(null);
  const complete = useSignal(false);
  const subject = useSignal("");
  const account = useSignal("");
  const problem = useSignal<unknown>(null);
  const fetchPage = async (before: number | null) => {
    problem.value = null;
    try {
      const query = {
        limit: PAGE,
        ...(before === null ? {} : { before }),
        ...(subject.value.trim() ? { subject: subject.value.trim() } : {}),
        ...(account.value.trim() ? { account: account.value.trim() } : {}),
      };
      const page = await body(api.GET("/api/audit", { params: { query } }));
      rows.value = before === null ? page : [...(rows.value ?? []), ...page];
      complete.value = page.length < PAGE;
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <section aria-labelledby="account-audit" class="sheet">
      <h2 id="account-audit">{t("account.audit")}</h2>
      <p class="soft">{t("account.audit-what")}</p>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          void fetchPage(null);
        }}
      >
        <label class="field">
          <span>{t("account.by-subject")}</span>
          <input
            maxLength={64}
            spellcheck={false}
            autocomplete="off"
            value={subject.value}
            onInput={(event) => {
              subject.value = event.currentTarget.value;
            }}
          />
        </label>
        <label class="field">
          <span>{t("account.by-account")}</span>
          <input
            maxLength={64}
            spellcheck={false}
            autocomplete="off"
            value={account.value}
            onInput={(event) => {
              account.value = event.currentTarget.value;
            }}
          />
        </label>
        <button type="submit">{t(rows.value === null ? "account.audit-show" : "account.audit-again")}</button>
      </form>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      {rows.value?.length === 0 && <p>{t("account.audit-none")}</p>}
      {rows.value && rows.value.length > 0 && (
        <AccessTable rows={rows.value.filter(({ action, status }) => status >= 400 || !ROUTINE.has(action))} />
      )}
      {rows.value && !complete.value && (
        <button type="button" onClick={() => void fetchPage(rows.value?.at(-1)?.id ?? null)}>
          {t("account.audit-more")}
        </button>
      )}
    </section>
  );
}

function AccessTable({ rows }: { rows: Access[] }) {
  return (
    <ScrollArea label={t("account.audit")}>
      <table class="audit small">
        <thead>
          <tr>
            <th scope="col">{t("account.at")}</th>
            <th scope="col">{t("account.who")}</th>
            <th scope="col">{t("account.did")}</th>
            <th scope="col">{t("account.subject")}</th>
            <th scope="col">{t("account.outcome")}</th>
            <th scope="col">{t("account.address")}</th>
            <th scope="col">{t("account.request")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td>{formatExactTime(row.at)}</td>
              <td>{row.who || t("account.no-one")}</td>
              <td>
                {describeAction(row.action)}
                <code class="soft">{row.action}</code>
              </td>
              <td class="mono">{row.subject || "–"}</td>
              <td>
                <Badge tone={row.status < 400 ? "plain" : "bad"}>{describeOutcome(row.status)}</Badge>
              </td>
              <td class="mono">{row.address}</td>
              <td class="mono">{row.request}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}

function describeOutcome(status: number): string {
  if (status < 400) return t("account.allowed", { status });
  return t(status < 500 ? "account.refused" : "account.failed", { status });
}

/** Return a time with its seconds: the order of entries matters in an audit log. */
function formatExactTime(iso: string): string {
  return new Date(iso).toLocaleString(document.documentElement.lang, { dateStyle: "short", timeStyle: "medium" });
}

/** Return an action in words; a DICOM status or the reason of a rejection note is part of the action. */
function describeAction(action: string): string {
  const refused = /^(?:C-STORE|STOW-RS)(?: of an earlier study)? refused (\w+)(?: [\d.]+)?$/.exec(action);
  if (refused) return t("account.act-refused", { status: refused[1] ?? "" });
  if (action.startsWith("C-STORE of a rejection note")) return t("account.act-note");
  return translateTerm("account.act", action.replace(/^HEAD /, "GET "));
}
