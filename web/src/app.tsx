// The frame of every page: the navigation, the disclaimer and the page itself.
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { about, loadSession, me, Problem } from "./api/client";
import { watchAnswers } from "./api/notify";
import { Disclaimer } from "./components/disclaimer";
import { ErrorBoundary } from "./components/error-boundary";
import { focusHeading, focusOnChange } from "./components/focus";
import { LanguageSelect, ThemeSwitch } from "./components/frame-tools";
import { Icon } from "./components/icons";
import { useDefaultTitle } from "./components/page-title";
import { ProblemNote, problemText } from "./components/problem";
import { ServerNotice } from "./components/server-notice";
import { showToast, Toasts } from "./components/toast";
import { IdleWarning } from "./features/account/idle-warning";
import { Worklist } from "./features/worklist/worklist";
import { type Key, language, t } from "./i18n";
import { DEVICE_PAGE, href, type Route, route } from "./router";

const StudyPage = lazy(() => import("./features/study/study-page")) as ComponentType<{ id: string }>;
const Models = lazy(() => import("./features/models/model-list")) as ComponentType;
const ModelPage = lazy(() => import("./features/models/model-page")) as ComponentType<{ id: string }>;
const Monitor = lazy(() => import("./features/models/monitor-page")) as ComponentType<{ id: string }>;
const Dashboard = lazy(() => import("./features/dashboard/dashboard-page")) as ComponentType;
const OperationsPage = lazy(() => import("./features/dashboard/operations-page")) as ComponentType;
const Archive = lazy(() => import("./features/archive/archive-page")) as ComponentType;
const Account = lazy(() => import("./features/account/account-page")) as ComponentType;
const Login = lazy(() => import("./features/account/login-page")) as ComponentType;

export function App() {
  const sessionLoaded = useSignal(false);
  const problem = useSignal<unknown>(null);
  const load = () => {
    problem.value = null;
    loadSession().then(
      () => {
        sessionLoaded.value = true;
      },
      (error: unknown) => {
        problem.value = error;
      },
    );
  };
  useEffect(load, []);
  useEffect(() => {
    document.documentElement.lang = language.value;
  }, [language.value]);
  useEffect(() => (sessionLoaded.value ? focusOnChange() : undefined), [sessionLoaded.value]);
  // One stream on every page: it notices at once when the server is gone.
  useEffect(() => (me.value ? watchAnswers() : undefined), [me.value?.id]);
  useEffect(() => {
    // Show refusals that no page has handled.
    const onRejection = ({ reason }: PromiseRejectionEvent) => {
      if (!(reason instanceof Problem)) return;
      const { text, lang } = problemText(reason);
      showToast(text, true, lang);
    };
    addEventListener("unhandledrejection", onRejection);
    return () => removeEventListener("unhandledrejection", onRejection);
  }, []);
  const hash = location.hash;
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
        {me.value && <Navigation />}
        <div class="frame-tools">
          <ThemeSwitch />
          <LanguageSelect />
        </div>
      </header>
      <Disclaimer />
      <ServerNotice />
      <main id="content" tabIndex={-1} data-page={me.value ? route.value.page : "login"}>
        {problem.value !== null && <ProblemNote error={problem.value} onRetry={load} />}
        <ErrorBoundary page={hash}>
          <Suspense fallback={<p class="soft">{t("app.loading")}</p>}>
            {sessionLoaded.value && (me.value ? <Page route={route.value} /> : <Login />)}
          </Suspense>
        </ErrorBoundary>
      </main>
      {me.value?.idle_seconds && <IdleWarning seconds={me.value.idle_seconds} />}
      <Toasts />
    </>
  );
}

function Page({ route }: { route: Route }) {
  useDefaultTitle(route.page in TITLES ? t(TITLES[route.page as keyof typeof TITLES]) : "");
  switch (route.page) {
    case "study":
      return <StudyPage id={route.id} key={route.id} />;
    case "models":
      return <Models />;
    case "model":
      return <ModelPage id={route.id} key={route.id} />;
    case "monitor":
      return <Monitor id={route.id} key={route.id} />;
    case "dashboard":
      return <Dashboard />;
    case "operations":
      return <OperationsPage />;
    case "archive":
      return <Archive />;
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
  monitor: "frame.model",
  dashboard: "nav.dashboard",
  operations: "dash.operations",
  archive: "nav.archive",
  account: "nav.account",
} as const satisfies Partial<Record<Route["page"], Key>>;

function Navigation() {
  const entries = [
    ["worklist", href.worklist(), ["worklist", "study", "login"]],
    ["models", href.models(), ["models", "model", "monitor"]],
    ["dashboard", href.dashboard(), ["dashboard", "operations"]],
    // Only an admin of a server in a hospital's network has something to do there.
    ...(me.value?.role === "admin" && about.value?.dicom ? [["archive", href.archive(), ["archive"]] as const] : []),
    ["account", href.account(), ["account"]],
  ] as const;
  const currentPage = route.value.page;
  return (
    <nav class="navigation" aria-label={t("frame.navigation")}>
      {entries.map(([page, to, pages]) => (
        <a
          key={page}
          href={to}
          aria-current={currentPage === page ? "page" : undefined}
          data-here={(pages as readonly string[]).includes(currentPage)}
        >
          <Icon name={page} />
          <span>{t(`nav.${page}`)}</span>
        </a>
      ))}
      <a href={DEVICE_PAGE}>
        <Icon name="device" />
        <span>{t("nav.device")}</span>
      </a>
    </nav>
  );
}
