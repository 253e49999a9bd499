// The reader's what-if question: what would the model answer if a region were covered? The answer is not a result.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { OcclusionAnswer, Prediction } from "../../api/types";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { OcclusionResult } from "./occlusion-result";
import type { Stroke } from "./open-study";
import type { StudyStore } from "./study-store";

const NARROW = "(max-width: 59.99rem)"; // as in study.css
const MODES = ["exclude", "include"] as const;

export function OcclusionQuestion({ store, prediction }: { store: StudyStore; prediction: Prediction }) {
  const { brush, strokes, brushMode: mode } = store.open;
  const answer = useSignal<OcclusionAnswer | null>(null);
  const answeredStrokes = useSignal<readonly Stroke[]>([]);
  const problem = useSignal<unknown>(null);
  const busy = useSignal(false);
  const paint = (chosenMode: (typeof MODES)[number]) => {
    mode.value = chosenMode;
    brush.value = brush.value === chosenMode ? null : chosenMode;
    if (brush.value) document.querySelector(".reading-image")?.scrollIntoView({ block: "nearest" });
  };
  const clear = () => {
    strokes.value = [];
    brush.value = null;
    [answer.value, problem.value] = [null, null];
  };
  const ask = async () => {
    busy.value = true;
    answeredStrokes.value = strokes.value;
    [answer.value, problem.value] = [null, null];
    try {
      answer.value = await body(
        api.POST("/api/predictions/{prediction}/what-if", {
          params: { path: { prediction: prediction.id } },
          body: { mode: mode.value, strokes: strokes.value },
        }),
      );
      if (matchMedia(NARROW).matches) brush.value = null; // on a narrow screen the bar would cover the answer
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  };
  const count = strokes.value.length;
  return (
    <details
      class="fold"
      onToggle={(event) => {
        if (!event.currentTarget.open) brush.value = null;
      }}
    >
      <summary>{t("whatif.title")}</summary>
      <p class="small soft">{t("whatif.words")}</p>
      <div class="whatif-bar" data-painting={brush.value !== null}>
        {brush.value !== null && (
          <p class="small" role="status">
            {t(`whatif.painting-${brush.value}`)}
          </p>
        )}
        <div class="actions whatif-modes">
          {MODES.map((one) => (
            <button key={one} type="button" aria-pressed={brush.value === one} onClick={() => paint(one)}>
              {t(`whatif.${one}`)}
            </button>
          ))}
        </div>
        <div class="actions">
          <button type="button" class="primary" disabled={count === 0 || busy.value} onClick={ask}>
            {t(`whatif.ask-${mode.value}`)}
          </button>
          <button type="button" disabled={count === 0 && brush.value === null && !answer.value} onClick={clear}>
            {t("whatif.clear")}
          </button>
        </div>
        <p class="small soft whatif-count">{count === 0 ? t("whatif.none") : t("whatif.strokes", { n: count })}</p>
      </div>
      <div aria-live="polite">
        {busy.value && <p class="soft">{t("whatif.busy")}</p>}
        {problem.value !== null && <ProblemNote error={problem.value} />}
        {answer.value && (answeredStrokes.value !== strokes.value || answer.value.mode !== mode.value) && (
          <p class="note">{t("whatif.stale")}</p>
        )}
        {answer.value && <OcclusionResult store={store} occlusion={answer.value} model={prediction.model} />}
      </div>
    </details>
  );
}
