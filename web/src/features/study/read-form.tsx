// The form of a read: the likelihood of each pattern, a conclusion and free text. All fields start without a value.

import { models } from "../../api/models";
import type { Model } from "../../api/types";
import { t } from "../../i18n";
import { ConclusionField } from "./conclusion-field";
import { LikelihoodSlider } from "./likelihood-slider";
import { readerTerm } from "./reader-term";
import { type Draft, labelsToRead } from "./reading-phase";
import type { StudyStore } from "./study-store";
import { Templates } from "./templates";

/** Return the labels that the reader is asked about: those of the models asked here, else of all models. */
export function listReadLabels(store: StudyStore): string[] {
  return labelsToRead(listStudyModels(store));
}

/** Return whether a model that was asked here, else any model, answers about several findings. */
export function asksForFindings(store: StudyStore): boolean {
  return listStudyModels(store).some((model) => model.kind === "multilabel");
}

function listStudyModels(store: StudyStore): Model[] {
  const all = models.value ?? [];
  const askedModels = new Set(store.open.study.value.predictions.map((one) => one.model));
  const studyModels = all.filter((model) => askedModels.has(model.id));
  return studyModels.length > 0 ? studyModels : all;
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
      <ConclusionField
        title={t("read.conclusion")}
        labels={labels}
        several={asksForFindings(store)}
        value={form.conclusion}
        onChange={(conclusion) => onChange({ conclusion })}
      />
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
