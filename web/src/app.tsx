// The frame of every page: the way around, the page itself, and the sentence that says what this software is not.
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { greet, me, Problem } from "./api/client";
import { Sentence } from "./components/disclaimer";
import { Boundary } from "./components/error-boundary";
import { focusHeading, focusOnChange } from "./components/focus";
import { Icon } from "./components/icons";
import { useKindOfPage } from "./components/page-title";
import { ProblemNote, wordsOf } from "./components/problem";
import { choose, theme } from "./components/theme";
import { say, Toasts } from "./components/toast";
import { IdleWarning } from "./features/account/idle-warning";
import { Worklist } from "./features/worklist/worklist";
import { type Key, LANGUAGES, type Language, language, speak, t } from "./i18n";
import { href, type Route, route } from "./router";

const StudyPage = lazy(() => import("./features/study/study-page")) as ComponentType<{ id: string }>;
const Models = lazy(() => import("./features/models/model-list")) as ComponentType;
const ModelPage = lazy(() => import("./features/models/model-page")) as ComponentType<{ id: string }>;
const Dashboard = lazy(() => import("./features/dashboard/dashboard-page")) as ComponentType;
const Account = lazy(() => import("./features/account/account-page")) as ComponentType;
const Login = lazy(() => import("./features/account/login-page")) as ComponentType;

export function App() {
  const asked = useSignal(false);
  const problem = useSignal<unknown>(null);
  const ask = () => {
    problem.value = null;
    greet().then(
      () => {
        asked.value = true;
      },
      (error: unknown) => {
        problem.value = error;
      },
    );
  };
  useEffect(ask, []);
  useEffect(() => {
    document.documentElement.lang = language.value;
  }, [language.value]);
  useEffect(() => (asked.value ? focusOnChange() : undefined), [asked.value]);
  useEffect(() => {
    // A refusal that no page has caught is said all the same.
    const refused = ({ reason }: PromiseRejectionEvent) => {
      if (!(reason instanceof Problem)) return;
      const { text, lang } = wordsOf(reason);
      say(text, true, lang);
    };
    addEventListener("unhandledrejection", refused);
    return () => removeEventListener("unhandledrejection", refused);
  }, []);
  const place = location.hash;
  return (
    <>
      <button type="button" class="skip" onClick={focusHeading}>
        {t("app.skip")}
      </button>
      <header class="frame-head">
        <a class="brand" href={href.worklist()}>
          <span class="mark" aria-hidden="true" />
          {t("app.name")}
        </a>
        {me.value && <Ways />}
        <div class="frame-tools">
          <ThemeSwitch />
          <Tongue />
        </div>
      </header>
      <Sentence />
      <main id="content" tabIndex={-1} data-page={me.value ? route.value.page : "login"}>
        {problem.value !== null && <ProblemNote error={problem.value} again={ask} />}
        <Boundary page={place}>
          <Suspense fallback={<p class="soft">{t("app.loading")}</p>}>
            {asked.value && (me.value ? <Page route={route.value} /> : <Login />)}
          </Suspense>
        </Boundary>
      </main>
      {me.value?.idle_seconds && <IdleWarning seconds={me.value.idle_seconds} />}
      <Toasts />
    </>
  );
}

function Page({ route }: { route: Route }) {
  useKindOfPage(route.page in TITLES ? t(TITLES[route.page as keyof typeof TITLES]) : "");
  switch (route.page) {
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
      return <Missing />;
    default:
      return <Worklist />;
  }
}

function Missing() {
  return (
    <>
      <h1>{t("app.missing")}</h1>
      <p>
        <a href={href.worklist()}>{t("nav.worklist")}</a>
      </p>
    </>
  );
}

const TITLES = {
  worklist: "nav.worklist",
  login: "nav.worklist",
  study: "frame.study",
  models: "nav.models",
  model: "frame.model",
  dashboard: "nav.dashboard",
  account: "nav.account",
} as const satisfies Partial<Record<Route["page"], Key>>;

function Ways() {
  const ways = [
    ["worklist", href.worklist(), ["worklist", "study", "login"]],
    ["models", href.models(), ["models", "model"]],
    ["dashboard", href.dashboard(), ["dashboard"]],
    ["account", href.account(), ["account"]],
  ] as const;
  const here = route.value.page;
  return (
    <nav class="ways" aria-label={t("frame.ways")}>
      {ways.map(([page, to, pages]) => (
        <a
          key={page}
          href={to}
          aria-current={here === page ? "page" : undefined}
          data-here={(pages as readonly string[]).includes(here)}
        >
          <Icon name={page} />
          <span>{t(`nav.${page}`)}</span>
        </a>
      ))}
    </nav>
  );
}

function ThemeSwitch() {
  return (
    <button
      type="button"
      class="bare"
      aria-label={t("nav.theme")}
      title={t("nav.theme")}
      onClick={() => choose(theme.value === "dark" ? "light" : "dark")}
    >
      <Icon name="theme" />
    </button>
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
