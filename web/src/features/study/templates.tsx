// Templates for the text of a report: two of the page, and those that the reader saves in this browser.
import { signal } from "@preact/signals";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";
import { keepPreference, readPreference } from "../../preferences";

const STORAGE_KEY = "pneumoscope.templates";
const MAX_TEMPLATES = 30;
const NAME_LENGTH = 40;

const own = signal<string[]>(readTemplates(readPreference(STORAGE_KEY)));

/** Return stored templates; what is no list of texts is none. */
export function readTemplates(stored: string | null): string[] {
  try {
    const value: unknown = JSON.parse(stored ?? "[]");
    return Array.isArray(value) ? value.filter((one) => typeof one === "string").slice(0, MAX_TEMPLATES) : [];
  } catch {
    return [];
  }
}

/** Return a text with a template at its end; the same template twice stands there once. */
export function addTemplate(text: string, template: string): string {
  if (text.includes(template)) return text;
  return text.trim() === "" ? template : `${text.trimEnd()}\n${template}`;
}

export function Templates({ text, set }: { text: string; set: (text: string) => void }) {
  const all = [t("template.clear"), t("template.opacity"), ...own.value];
  const save = (list: string[]) => {
    own.value = list;
    keepPreference(STORAGE_KEY, JSON.stringify(list));
  };
  return (
    <div class="templates">
      <select
        aria-label={t("template.insert")}
        value=""
        onChange={(event) => {
          const template = all[Number(event.currentTarget.value)];
          if (template !== undefined && event.currentTarget.value !== "") set(addTemplate(text, template));
          event.currentTarget.value = "";
        }}
      >
        <option value="">{t("template.insert")}</option>
        {all.map((template, place) => (
          <option key={template} value={place}>
            {template.slice(0, NAME_LENGTH)}
          </option>
        ))}
      </select>
      <button
        type="button"
        class="bare small"
        disabled={text.trim() === "" || own.value.includes(text.trim())}
        title={t("template.save-note")}
        onClick={() => {
          save([text.trim(), ...own.value].slice(0, MAX_TEMPLATES));
          showToast(t("template.saved"));
        }}
      >
        {t("template.save")}
      </button>
      {own.value.includes(text.trim()) && (
        <button type="button" class="bare small" onClick={() => save(own.value.filter((one) => one !== text.trim()))}>
          {t("template.remove")}
        </button>
      )}
    </div>
  );
}
