// What a reader says about an image: how likely each pattern is, one conclusion, free text. Nothing is set at first.

import { models } from "../../api/models";
import { t, word } from "../../i18n";
import { Likelihood } from "./likelihood-slider";
import { asked, type Draft } from "./reading-phase";
import type { Desk } from "./study-store";

/** Return the labels that the reader is asked about: those of the models asked here, else of all models. */
export function readLabels(desk: Desk): string[] {
  const all = models.value ?? [];
  const here = new Set(desk.open.study.value.predictions.map((one) => one.model));
  const some = all.filter((model) => here.has(model.id));
  return asked(some.length > 0 ? some : all);
}

/** Return a label in a reader's words: `normal` is the models' word, and a reader's is another. */
export function ownWord(label: string): string {
  return label === "normal" ? t("read.none") : word("label", label);
}

export function ReadForm({ desk, onChange }: { desk: Desk; onChange: (change: Partial<Draft>) => void }) {
  const form = desk.form.value;
  const labels = readLabels(desk);
  const set = (label: string, value: number | null) => {
    const { [label]: _, ...rest } = form.likelihoods;
    onChange({ likelihoods: value === null ? rest : { ...rest, [label]: value } });
  };
  return (
    <>
      <fieldset class="likelihoods">
        <legend>{t("read.likelihood")}</legend>
        {labels.map((label) => (
          <Likelihood
            key={label}
            label={ownWord(label)}
            value={form.likelihoods[label] ?? null}
            onChange={(value) => set(label, value)}
          />
        ))}
      </fieldset>
      <label class="field">
        <span>{t("read.conclusion")}</span>
        <select
          value={form.conclusion ?? ""}
          onChange={(event) => onChange({ conclusion: event.currentTarget.value || null })}
        >
          <option value="">{t("read.choose")}</option>
          {[...new Set([...labels, ...(form.conclusion ? [form.conclusion] : []), "other", "normal"])].map((label) => (
            <option key={label} value={label}>
              {ownWord(label)}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>{t("read.text")}</span>
        <textarea
          rows={4}
          maxLength={10_000}
          value={form.text}
          onInput={(event) => onChange({ text: event.currentTarget.value })}
        />
      </label>
    </>
  );
}
