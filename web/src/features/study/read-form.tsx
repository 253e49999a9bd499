// The form of a read: the likelihood of each pattern, a conclusion and free text. All fields start without a value.

import { models } from "../../api/models";
import { labelName, t } from "../../i18n";
import { LikelihoodSlider } from "./likelihood-slider";
import { type Draft, labelsToRead } from "./reading-phase";
import type { StudyStore } from "./study-store";
import { Templates } from "./templates";

/** Return the labels that the reader is asked about: those of the models asked here, else of all models. */
export function listReadLabels(store: StudyStore): string[] {
  const all = models.value ?? [];
  const askedModels = new Set(store.open.study.value.predictions.map((one) => one.model));
  const studyModels = all.filter((model) => askedModels.has(model.id));
  return labelsToRead(studyModels.length > 0 ? studyModels : all);
}

/** Return the name of a label in a read. `normal` has another name in a model's answer. */
export function readerTerm(label: string): string {
  return label === "normal" ? t("read.none") : labelName(label);
}

export function ReadForm({ store, onChange }: { store: StudyStore; onChange: (change: Partial<Draft>) => void }) {
  const form = store.form.value;
  const labels = listReadLabels(store);
  const set = (label: string, value: number | null) => {
    const { [label]: _, ...rest } = form.likelihoods;
    onChange({ likelihoods: value === null ? rest : { ...rest, [label]: value } });
  };
  return (
    <>
      <fieldset class="likelihoods">
        <legend>{t("read.likelihood")}</legend>
        {labels.map((label) => (
          <LikelihoodSlider
            key={label}
            label={readerTerm(label)}
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
              {readerTerm(label)}
            </option>
          ))}
        </select>
      </label>
      <Templates text={form.text} set={(text) => onChange({ text })} />
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
