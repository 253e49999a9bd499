// The login of a department's server.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api, body, ended, greet, Problem } from "../../api/client";
import { useTitle } from "../../components/page-title";
import { ProblemNote, Why } from "../../components/problem";
import { t } from "../../i18n";
import "./account.css";

export default function Login() {
  const name = useSignal("");
  const password = useSignal("");
  const busy = useSignal(false);
  const problem = useSignal<unknown>(null);
  const first = useRef<HTMLInputElement>(null);
  useTitle(t("login.title"));
  useEffect(() => {
    if (ended.value === null) first.current?.focus();
  }, []);
  const go = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    problem.value = null;
    try {
      await body(api.POST("/api/login", { body: { name: name.value, password: password.value } }));
      ended.value = null;
      if (location.hash === "#/login") location.hash = "#/";
      await greet();
    } catch (error) {
      problem.value = error;
      password.value = "";
    } finally {
      busy.value = false;
    }
  };
  const wrong = problem.value instanceof Problem && problem.value.status === 401 ? problem.value : null;
  return (
    <div class="login">
      <h1>{t("login.title")}</h1>
      {ended.value && <p class="note">{t(`login.ended.${ended.value}`)}</p>}
      <form class="sheet" onSubmit={go}>
        <label class="field">
          <span>{t("login.name")}</span>
          <input
            ref={first}
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
        {wrong && (
          <p class="problem" role="alert">
            <Why why={wrong} />
          </p>
        )}
        {problem.value !== null && !wrong && <ProblemNote error={problem.value} />}
        <button type="submit" class="primary" disabled={busy.value}>
          {t("login.go")}
        </button>
      </form>
      <p class="soft small">{t("login.lead")}</p>
    </div>
  );
}
