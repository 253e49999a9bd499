// What a reader, or another test, found: one label, or any number of findings where a model answers about several.

import { joinFindings, splitDecision } from "../../api/decision";
import { t } from "../../i18n";
import { readerTerm } from "./reader-term";

interface Props {
  title: string;
  /** The labels that the models look for; "other" and "none of these" come after them. */
  labels: string[];
  /** Whether several findings may be ticked. */
  several: boolean;
  value: string | null;
  onChange: (value: string | null) => void;
}

const NONE = "normal";

export function ConclusionField({ title, labels, several, value, onChange }: Props) {
  const ticked = value === null || value === "" ? [] : splitDecision(value);
  if (!several)
    return (
      <label class="field">
        <span>{title}</span>
        <select value={value ?? ""} onChange={(event) => onChange(event.currentTarget.value || null)}>
          <option value="">{t("read.choose")}</option>
          {[...new Set([...labels, ...(value ? [value] : []), "other", NONE])].map((label) => (
            <option key={label} value={label}>
              {readerTerm(label)}
            </option>
          ))}
        </select>
      </label>
    );
  const choices = [...new Set([...labels, ...ticked.filter((label) => label !== NONE), "other", NONE])];
  const tick = (label: string, checked: boolean) =>
    onChange(
      joinFindings(choices.filter((one) => (one === label ? checked : ticked.includes(one) && mayStay(label, one)))),
    );
  return (
    <fieldset class="conclusion">
      <legend>{title}</legend>
      <p class="small soft">{t("read.tick")}</p>
      <div class="conclusion-ticks">
        {choices.map((label) => (
          <label key={label} class="check">
            <input
              type="checkbox"
              checked={ticked.includes(label)}
              onChange={(event) => tick(label, event.currentTarget.checked)}
            />
            {readerTerm(label)}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** Return whether another tick may stay beside a new one: "none of these" stands alone. */
function mayStay(label: string, other: string): boolean {
  return label !== NONE && other !== NONE;
}
