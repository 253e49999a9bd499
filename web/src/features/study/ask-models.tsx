// Ask further models about all images of the study. Asking again adds answers and replaces none.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import { ModelPicker } from "../../components/model-picker";
import { ProblemNote } from "../../components/problem";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";
import type { StudyStore } from "./study-store";

export function AskModels({ store }: { store: StudyStore }) {
  const selected = useSignal<string[]>([]);
  const problem = useSignal<unknown>(null);
  const noAnswers = store.open.study.value.predictions.length === 0;
  const ask = async (event: Event) => {
    event.preventDefault();
    problem.value = null;
    try {
      const path = { study: store.id };
      await body(api.POST("/api/studies/{study}/predictions", { params: { path }, body: { models: selected.value } }));
      showToast(t("panel.was-asked"));
      selected.value = [];
      await store.refresh();
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <details class="fold" open={noAnswers}>
      <summary>{t("panel.ask")}</summary>
      <form onSubmit={ask}>
        <ModelPicker selected={selected} legend={t("panel.ask-which")} />
        <p class="small soft">{t("panel.ask-again")}</p>
        {problem.value !== null && <ProblemNote error={problem.value} />}
        <button type="submit" disabled={selected.value.length === 0}>
          {t("panel.ask-do")}
        </button>
      </form>
    </details>
  );
}
