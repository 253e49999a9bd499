// The app "on this device": the same frame as the reading room's, without a server behind it.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Disclaimer } from "../../components/disclaimer";
import { ErrorBoundary } from "../../components/error-boundary";
import { focusHeading, focusOnChange } from "../../components/focus";
import { LanguageSelect, ThemeSwitch } from "../../components/frame-tools";
import { Icon } from "../../components/icons";
import { Toasts } from "../../components/toast";
import { canKeep } from "../../device/store";
import { type Key, language, t } from "../../i18n";
import { AskPage } from "./ask-page";
import { denied, kept, readOffer, readState, renewFacts } from "./device-state";
import { HistoryPage } from "./history-page";
import { NetworkPage } from "./network-page";
import { NetworksPage } from "./networks-page";
import "../study/study.css";
import "../viewer/viewer.css";
import "../models/models.css";
import "./device.css";

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

const PAGES = [
  ["ask", "#/", "image"],
  ["networks", "#/networks", "models"],
  ["history", "#/history", "worklist"],
] as const;

export function DeviceApp() {
  const [page = "", id = ""] = hash.value.replace(/^#?\/?/, "").split("/");
  useEffect(() => {
    document.documentElement.lang = language.value;
    document.title = `${t("device.title")} · Pneumoscope`;
  }, [language.value]);
  useEffect(() => {
    if (!canKeep()) return;
    void Promise.all([readState(), readOffer()]).then(renewFacts);
    return focusOnChange();
  }, []);
  const here = page === "" ? "ask" : page;
  return (
    <>
      <button type="button" class="skip" onClick={focusHeading}>
        {t("app.skip")}
      </button>
      <header class="frame-head">
        <a class="brand" href="#/">
          <span class="mark" aria-hidden="true" />
          {t("app.name")}
        </a>
        <nav class="navigation" aria-label={t("frame.navigation")}>
          {PAGES.map(([name, to, icon]) => (
            <a key={name} href={to} aria-current={name === here ? "page" : undefined} data-here={name === here}>
              <Icon name={icon} />
              <span>{t(`device.nav.${name}` as Key)}</span>
            </a>
          ))}
        </nav>
        <div class="frame-tools">
          <ThemeSwitch />
          <LanguageSelect />
        </div>
      </header>
      <Disclaimer />
      <main id="content" tabIndex={-1} data-page="device" data-ready={kept.value !== null}>
        <ErrorBoundary page={hash.value}>
          {!canKeep() && <p class="problem">{t("device.insecure")}</p>}
          {denied.value && <p class="problem">{t("device.denied")}</p>}
          {canKeep() && !denied.value && <Page page={page} id={id} />}
        </ErrorBoundary>
      </main>
      <Toasts />
    </>
  );
}

function Page({ page, id }: { page: string; id: string }) {
  if (kept.value === null) return <p class="soft">{t("app.loading")}</p>;
  if (page === "history") return <HistoryPage />;
  if (page === "networks") return id ? <NetworkPage id={id} /> : <NetworksPage />;
  return <AskPage />;
}
