// The tools at the right end of the frame's head: theme and language.
import { LANGUAGES, type Language, language, setLanguage, t } from "../i18n";
import { Icon } from "./icons";
import { setTheme, theme } from "./theme";

export function ThemeSwitch() {
  return (
    <button
      type="button"
      class="bare"
      aria-label={t("nav.theme")}
      title={t("nav.theme")}
      onClick={() => setTheme(theme.value === "dark" ? "light" : "dark")}
    >
      <Icon name="theme" />
    </button>
  );
}

export function LanguageSelect() {
  return (
    <label class="language">
      <span class="hidden">{t("nav.language")}</span>
      <select value={language.value} onChange={(event) => setLanguage(event.currentTarget.value as Language)}>
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option key={code} value={code}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
