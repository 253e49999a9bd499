// Ask further models about all images of the study. Asking again adds answers and replaces none.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import { ModelPicker } from "../../components/model-picker";
import { ProblemNote } from "../../components/problem";
import { say } from "../../components/toast";
import { t } from "../../i18n";
import type { Desk } from "./study-store";

export function Ask({ desk }: { desk: Desk }) {
  const chosen = useSignal<string[]>([]);
  const problem = useSignal<unknown>(null);
  const none = desk.open.study.value.predictions.length === 0;
  const ask = async (event: Event) => {
    event.preventDefault();
    problem.value = null;
    try {
      const path = { study: desk.id };
      await body(api.POST("/api/studies/{study}/predictions", { params: { path }, body: { models: chosen.value } }));
      say(t("panel.was-asked"));
      chosen.value = [];
      await desk.look();
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <details class="fold" open={none}>
      <summary>{t("panel.ask")}</summary>
      <form onSubmit={ask}>
        <ModelPicker chosen={chosen} legend={t("panel.ask-which")} />
        <p class="small soft">{t("panel.ask-again")}</p>
        {problem.value !== null && <ProblemNote error={problem.value} />}
        <button type="submit" disabled={chosen.value.length === 0}>
          {t("panel.ask-do")}
        </button>
      </form>
    </details>
  );
}
