// The login page of a server with accounts.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, body, loadSession, logoutReason, Problem } from "../../api/client";
import { usePageTitle } from "../../components/page-title";
import { ProblemNote, ProblemText } from "../../components/problem";
import { t } from "../../i18n";
import "./account.css";

export default function LoginPage() {
  const name = useSignal("");
  const password = useSignal("");
  const busy = useSignal(false);
  const problem = useSignal<unknown>(null);
  const nameInput = useRef<HTMLInputElement>(null);
  usePageTitle(t("login.title"));
  useEffect(() => {
    if (logoutReason.value === null) nameInput.current?.focus();
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    problem.value = null;
    try {
      await body(api.POST("/api/login", { body: { name: name.value, password: password.value } }));
      logoutReason.value = null;
      if (location.hash === "#/login") location.hash = "#/";
      await loadSession();
    } catch (error) {
      problem.value = error;
      password.value = "";
    } finally {
      busy.value = false;
    }
  };
  const rejection = problem.value instanceof Problem && problem.value.status === 401 ? problem.value : null;
  return (
    <div class="login">
      <h1>{t("login.title")}</h1>
      {logoutReason.value && <p class="note">{t(`login.ended.${logoutReason.value}`)}</p>}
      <form class="sheet" onSubmit={submit}>
        <label class="field">
          <span>{t("login.name")}</span>
          <input
            ref={nameInput}
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            required
            maxLength={64}
            value={name.value}
            onInput={(event) => {
              name.value = event.currentTarget.value;
            }}
          />
        </label>
        <label class="field">
          <span>{t("login.password")}</span>
          <input
            type="password"
            autocomplete="current-password"
            required
            maxLength={256}
            value={password.value}
            onInput={(event) => {
              password.value = event.currentTarget.value;
            }}
          />
        </label>
        {rejection && (
          <p class="problem" role="alert">
            <ProblemText refusal={rejection} />
          </p>
        )}
        {problem.value !== null && !rejection && <ProblemNote error={problem.value} />}
        <button type="submit" class="primary" disabled={busy.value}>
          {t("login.go")}
        </button>
      </form>
      <p class="soft small">{t("login.lead")}</p>
    </div>
  );
}
