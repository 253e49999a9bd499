// In free mode the reader chooses the order, and learns first that an unaided read is impossible after an answer.
import { type Signal, useSignal } from "@preact/signals";
import { modelName, models } from "../../api/models";
import { ProblemNote } from "../../components/problem";
import { findMessage, t } from "../../i18n";
import { answerWord } from "./answer-table";
import { splitAnswers } from "./predictions";
import { mayShowAnswers } from "./reading-phase";
import type { StudyStore } from "./study-store";
import { focusTab } from "./tabs";

export function ReadingOrder({ store }: { store: StudyStore }) {
  const problem = useSignal<unknown>(null);
  return (
    <section class="sheet choice">
      <h2>{t("panel.choice")}</h2>
      <p>{t("panel.choice-words")}</p>
      <div class="actions">
        <Choices store={store} problem={problem} />
      </div>
      {problem.value !== null && <ProblemNote error={problem.value} />}
    </section>
  );
}

interface ChoicesProps {
  store: StudyStore;
  problem: Signal<unknown>;
  /** The bar shows the answer in a word; the image stays where it is. */
  inBar?: boolean;
}

function Choices({ store, problem, inBar = false }: ChoicesProps) {
  const show = async () => {
    problem.value = null;
    store.tab.value = "model";
    if (!inBar) focusTab();
    await store.showAnswers().catch((error: unknown) => {
      problem.value = error;
    });
  };
  return (
    <>
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
    </>
  );
}

/** On a phone the image fills the screen: what comes next, or the answers in a word, stand above the navigation. */
export function PhoneBar({ store }: { store: StudyStore }) {
  const problem = useSignal<unknown>(null);
  const phase = store.phase.value;
  if (phase === "choice")
    return (
      <div class="phone-bar">
        <Choices store={store} problem={problem} inBar />
        {problem.value !== null && <ProblemNote error={problem.value} />}
      </div>
    );
  const image = store.open.image.value;
  if (!mayShowAnswers(phase) || !image) return null;
  const { newest } = splitAnswers(store.open.predictions.value, image.id);
  const [first, ...others] = newest;
  if (!first) return null;
  return (
    <div class="phone-bar">
      <button
        type="button"
        class="bare phone-verdict"
        onClick={() => {
          store.tab.value = "model";
          focusTab();
        }}
      >
        <span class="soft small">
          {[modelName(first.model), findMessage(`model.audit.${auditOf(first.model)}`, {})].filter(Boolean).join(" · ")}
        </span>
        <strong>{answerWord(first)}</strong>
        {others.length > 0 && <span class="soft small">{t("panel.more-answers", { count: others.length })}</span>}
      </button>
    </div>
  );
}

function auditOf(id: string): string {
  return models.value?.find((model) => model.id === id)?.audit ?? "";
}
