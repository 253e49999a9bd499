// In free mode the reader decides what comes first; the one order that can't be had afterwards is said before.
import { useSignal } from "@preact/signals";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import type { Desk } from "./study-store";
import { focusTab } from "./tabs";

export function Choice({ desk }: { desk: Desk }) {
  const problem = useSignal<unknown>(null);
  const show = async () => {
    problem.value = null;
    desk.tab.value = "model";
    focusTab();
    await desk.show().catch((error: unknown) => {
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
            desk.readFirst();
            desk.tab.value = "read";
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
