// The reader's own account, how the page looks, and, for admins, patients and the audit log.
import { about, me } from "../../api/client";
import { leave } from "../../api/session";
import { choose, type Theme, theme } from "../../components/theme";
import { LANGUAGES, type Language, language, speak, t } from "../../i18n";
import "./account.css";
import { AuditLog } from "./audit-log";
import { Patients } from "./patients";
import { Tokens } from "./tokens";

export default function Account() {
  const who = me.value;
  if (!who) return null;
  const accounts = about.value?.accounts ?? false;
  return (
    <div class="page account">
      <h1>{t("nav.account")}</h1>
      <section aria-labelledby="account-you" class="sheet">
        <h2 id="account-you">{accounts ? who.name : t("account.local")}</h2>
        <p>{accounts ? t(`account.role.${who.role}`) : t("account.local-what")}</p>
        {accounts && <p>{t(who.sees_names ? "account.sees-names" : "account.sees-no-names")}</p>}
        {who.idle_seconds && (
          <p class="soft">{t("account.idle", { minutes: Math.max(1, Math.round(who.idle_seconds / 60)) })}</p>
        )}
        {about.value?.reads_first && <p class="soft">{t("account.reads-first")}</p>}
        {who.csrf && (
          <button type="button" onClick={() => void leave("self")}>
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
            choose={(chosen) => choose(chosen as Theme)}
          />
          <Choice
            legend={t("nav.language")}
            name="language"
            value={language.value}
            choices={Object.entries(LANGUAGES)}
            choose={(chosen) => speak(chosen as Language)}
          />
        </div>
      </section>
      {accounts && who.csrf && <Tokens />}
      {who.role === "admin" && (
        <>
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
      {choices.map(([one, label]) => (
        <label key={one} class="check">
          <input type="radio" name={name} value={one} checked={value === one} onChange={() => choose(one)} />
          {label}
        </label>
      ))}
    </fieldset>
  );
}
