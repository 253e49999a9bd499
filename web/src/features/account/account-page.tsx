// The user's account, the appearance of the app and, for admins, patients and the audit log.
import { about, me } from "../../api/client";
import { notifying, setNotifying } from "../../api/notify";
import { logOut } from "../../api/session";
import { setTheme, type Theme, theme } from "../../components/theme";
import { LANGUAGES, type Language, language, setLanguage, t } from "../../i18n";
import "./account.css";
import { AuditLog } from "./audit-log";
import { Password } from "./password";
import { Patients } from "./patients";
import { People } from "./people";
import { Tokens } from "./tokens";

export default function AccountPage() {
  const account = me.value;
  if (!account) return null;
  const hasAccounts = about.value?.accounts ?? false;
  return (
    <div class="page account">
      <h1>{t("nav.account")}</h1>
      <section aria-labelledby="account-you" class="sheet">
        <h2 id="account-you">{hasAccounts ? account.name : t("account.local")}</h2>
        <p>{hasAccounts ? t(`account.role.${account.role}`) : t("account.local-what")}</p>
        {hasAccounts && <p>{t(account.sees_names ? "account.sees-names" : "account.sees-no-names")}</p>}
        {account.idle_seconds && (
          <p class="soft">{t("account.idle", { minutes: Math.max(1, Math.round(account.idle_seconds / 60)) })}</p>
        )}
        {about.value?.reads_first && <p class="soft">{t("account.reads-first")}</p>}
        {account.csrf && (
          <button type="button" onClick={() => void logOut("self")}>
            {t("login.out")}
          </button>
        )}
      </section>
      <section aria-labelledby="account-look" class="sheet">
        <h2 id="account-look">{t("account.look")}</h2>
        <div class="looks">
          <Choice
            legend={t("account.theme")}
            name="theme"
            value={theme.value}
            choices={[
              ["dark", t("account.dark")],
              ["light", t("account.light")],
            ]}
            choose={(chosen) => setTheme(chosen as Theme)}
          />
          <Choice
            legend={t("nav.language")}
            name="language"
            value={language.value}
            choices={Object.entries(LANGUAGES)}
            choose={(chosen) => setLanguage(chosen as Language)}
          />
        </div>
      </section>
      <section aria-labelledby="account-notify" class="sheet">
        <h2 id="account-notify">{t("notify.title")}</h2>
        <label class="check">
          <input
            type="checkbox"
            checked={notifying.value}
            onChange={(event) => {
              const box = event.currentTarget;
              void setNotifying(box.checked).then(() => {
                box.checked = notifying.value;
              });
            }}
          />
          {t("notify.on")}
        </label>
      </section>
      {hasAccounts && account.csrf && <Password />}
      {hasAccounts && account.csrf && <Tokens />}
      {account.role === "admin" && (
        <>
          {hasAccounts && account.csrf && <People />}
          <Patients />
          <AuditLog />
        </>
      )}
      <p class="soft small">{t("account.version", { version: about.value?.version ?? "" })}</p>
    </div>
  );
}

interface ChoiceProps {
  legend: string;
  name: string;
  value: string;
  choices: [string, string][];
  choose: (value: string) => void;
}

function Choice({ legend, name, value, choices, choose }: ChoiceProps) {
  return (
    <fieldset class="choice">
      <legend>{legend}</legend>
      {choices.map(([option, label]) => (
        <label key={option} class="check">
          <input type="radio" name={name} value={option} checked={value === option} onChange={() => choose(option)} />
          {label}
        </label>
      ))}
    </fieldset>
  );
}
