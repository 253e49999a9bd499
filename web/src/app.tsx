// The frame of every page: the way around, the page itself, and the sentence that says what this software is not.
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { greet, me } from "./api/client";
import { LANGUAGES, type Language, language, speak, t } from "./i18n";
import { href, type Route, route } from "./router";
import { DISCLAIMER } from "./words";
import { Worklist } from "./worklist/worklist";

const StudyPage = lazy(() => import("./study/page")) as ComponentType<{ id: string }>;
const Models = lazy(() => import("./models/list")) as ComponentType;
const ModelPage = lazy(() => import("./models/page")) as ComponentType<{ id: string }>;
const Dashboard = lazy(() => import("./dashboard/page")) as ComponentType;
const Account = lazy(() => import("./account/page")) as ComponentType;
const Login = lazy(() => import("./account/login")) as ComponentType;

export function App() {
  const asked = useSignal(false);
  useEffect(() => {
    void greet().finally(() => {
      asked.value = true;
    });
  }, [asked]);
  useEffect(() => {
    document.documentElement.lang = language.value;
  }, [language.value]);
  return (
    <>
      <a class="skip" href="#content">
        {t("app.skip")}
      </a>
      <header class="frame-head">
        <a class="brand" href={href.worklist()}>
          {t("app.name")}
        </a>
        {me.value && <Ways />}
        <Tongue />
      </header>
      <p class="disclaimer" role="note" lang="en">
        {DISCLAIMER}
      </p>
      <main id="content" tabIndex={-1}>
        <Suspense fallback={<p class="soft">{t("app.loading")}</p>}>
          {asked.value && (me.value ? <Page route={route.value} /> : <Login />)}
        </Suspense>
      </main>
    </>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case "worklist":
      return <Worklist />;
    case "study":
      return <StudyPage id={route.id} key={route.id} />;
    case "models":
      return <Models />;
    case "model":
      return <ModelPage id={route.id} key={route.id} />;
    case "dashboard":
      return <Dashboard />;
    case "account":
      return <Account />;
    case "missing":
      return <p>{t("app.missing")}</p>;
  }
}

function Ways() {
  const ways = [
    ["worklist", href.worklist(), "nav.worklist"],
    ["models", href.models(), "nav.models"],
    ["dashboard", href.dashboard(), "nav.dashboard"],
    ["account", href.account(), "nav.account"],
  ] as const;
  return (
    <nav aria-label={t("app.name")}>
      {ways.map(([page, to, key]) => (
        <a key={page} href={to} aria-current={route.value.page === page ? "page" : undefined}>
          {t(key)}
        </a>
      ))}
    </nav>
  );
}

function Tongue() {
  return (
    <label class="tongue">
      <span class="hidden">{t("nav.language")}</span>
      <select value={language.value} onChange={(event) => speak(event.currentTarget.value as Language)}>
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option key={code} value={code}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
