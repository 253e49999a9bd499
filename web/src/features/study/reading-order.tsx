// In free mode the reader chooses the order, and learns first that an unaided read is impossible after an answer.
import { useSignal } from "@preact/signals";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import type { StudyStore } from "./study-store";
import { focusTab } from "./tabs";

export function ReadingOrder({ store }: { store: StudyStore }) {
  const problem = useSignal<unknown>(null);
  const show = async () => {
    problem.value = null;
    store.tab.value = "model";
    focusTab();
    await store.showAnswers().catch((error: unknown) => {
      problem.value = error;
    });
  };
  return (
    <section class="sheet choice">
      <h2>{t("panel.choice")}</h2>
      <p>{t("panel.choice-words")}</p>
      <div class="actions">
        <button
          type="button"
          class="primary"
          onClick={() => {
            store.readFirst();
            store.tab.value = "read";
            focusTab();
          }}
        >
          {t("panel.read-first")}
        </button>
        <button type="button" onClick={show}>
          {t("panel.show-answers")}
        </button>
      </div>
      {problem.value !== null && <ProblemNote error={problem.value} />}
    </section>
  );
}
