// A reader's question: what would the model say if it did not see this region? An answer to that is not a result.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { WhatIf as Found, Prediction } from "../../api/types";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { WhatIfFrame } from "./occlusion-result";
import type { Stroke } from "./open-study";
import type { Desk } from "./study-store";

const NARROW = "(max-width: 59.99rem)"; // as in study.css
const MODES = ["exclude", "include"] as const;

export function WhatIf({ desk, prediction }: { desk: Desk; prediction: Prediction }) {
  const { brush, strokes, meaning: mode } = desk.open;
  const found = useSignal<Found | null>(null);
  const of = useSignal<readonly Stroke[]>([]);
  const problem = useSignal<unknown>(null);
  const busy = useSignal(false);
  const paint = (wanted: (typeof MODES)[number]) => {
    mode.value = wanted;
    brush.value = brush.value === wanted ? null : wanted;
    if (brush.value) document.querySelector(".reading-image")?.scrollIntoView({ block: "nearest" });
  };
  const clear = () => {
    strokes.value = [];
    brush.value = null;
    [found.value, problem.value] = [null, null];
  };
  const ask = async () => {
    busy.value = true;
    of.value = strokes.value;
    [found.value, problem.value] = [null, null];
    try {
      found.value = await body(
        api.POST("/api/predictions/{prediction}/what-if", {
          params: { path: { prediction: prediction.id } },
          body: { mode: mode.value, strokes: strokes.value },
        }),
      );
      if (matchMedia(NARROW).matches) brush.value = null; // there the bar would cover the answer
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
          <button type="button" disabled={count === 0 && brush.value === null && !found.value} onClick={clear}>
            {t("whatif.clear")}
          </button>
        </div>
        <p class="small soft whatif-count">{count === 0 ? t("whatif.none") : t("whatif.strokes", { n: count })}</p>
      </div>
      <div aria-live="polite">
        {busy.value && <p class="soft">{t("whatif.busy")}</p>}
        {problem.value !== null && <ProblemNote error={problem.value} />}
        {found.value && (of.value !== strokes.value || found.value.mode !== mode.value) && (
          <p class="note">{t("whatif.stale")}</p>
        )}
        {found.value && <WhatIfFrame desk={desk} found={found.value} model={prediction.model} />}
      </div>
    </details>
  );
}
