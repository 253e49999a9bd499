// The reader's own pre-test probability meets the answer: a second number, and never the model's.
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { api, body, Problem } from "../../api/client";
import { draft } from "../../api/drafts";
import type { Posterior, Prediction } from "../../api/types";
import { ProblemNote, Why } from "../../components/problem";
import { t, word } from "../../i18n";
import { cardOf, ratioBand } from "./partial-card";
import { PosteriorFrame } from "./posterior-result";
import { shareOf } from "./score-format";
import type { Desk } from "./study-store";

const SOURCES = ["prior.source-local", "prior.source-score", "prior.source-contact", "prior.source-test"] as const;

export function Prior({ desk, prediction }: { desk: Desk; prediction: Prediction }) {
  const id = useId();
  const typed = draft(`prior/${desk.id}`, "");
  const source = draft(`prior-source/${desk.id}`, "");
  const found = useSignal<Posterior | null>(null);
  const problem = useSignal<unknown>(null);
  const share = shareOf(typed.value);
  const wrong = typed.value.trim() !== "" && share === null;
  const ready = share !== null && source.value.trim().length >= 3;
  const label = word("label", prediction.result?.labels?.[0] ?? "");
  const score = prediction.result?.probabilities?.[prediction.result?.labels?.[0] ?? ""] ?? 0;
  const band = ratioBand(cardOf(desk.details.value[prediction.model]), score);
  const ask = async (event: Event) => {
    event.preventDefault();
    if (share === null) return;
    [found.value, problem.value] = [null, null];
    try {
      found.value = await body(
        api.POST("/api/predictions/{prediction}/posterior", {
          params: { path: { prediction: prediction.id } },
          body: { probability: share, source: source.value.trim() },
        }),
      );
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <details class="fold">
      <summary>{t("prior.title")}</summary>
      <form onSubmit={ask}>
        <p class="small soft">{t("prior.words")}</p>
        <div class="pair prior-pair">
          <label class="field" for={`${id}-p`}>
            <span>{t("prior.probability", { label })}</span>
            <span class="of">
              <input
                id={`${id}-p`}
                inputMode="decimal"
                autocomplete="off"
                value={typed.value}
                aria-invalid={wrong}
                aria-describedby={wrong ? `${id}-wrong` : undefined}
                onInput={(event) => {
                  typed.value = event.currentTarget.value;
                  found.value = null;
                }}
              />
              <span>{t("prior.of-100")}</span>
            </span>
          </label>
          <label class="field" for={`${id}-s`}>
            <span>{t("prior.source")}</span>
            <input
              id={`${id}-s`}
              list={`${id}-sources`}
              maxLength={200}
              autocomplete="off"
              value={source.value}
              onInput={(event) => {
                source.value = event.currentTarget.value;
                found.value = null;
              }}
            />
          </label>
          <datalist id={`${id}-sources`}>
            {SOURCES.map((key) => (
              <option key={key} value={t(key)} />
            ))}
          </datalist>
        </div>
        {wrong && (
          <p class="problem small" id={`${id}-wrong`}>
            {t("prior.wrong")}
          </p>
        )}
        <button type="submit" disabled={!ready}>
          {t("prior.do")}
        </button>
        <div aria-live="polite">
          {problem.value !== null && <Refusal error={problem.value} />}
          {found.value && <PosteriorFrame found={found.value} band={band} />}
        </div>
      </form>
    </details>
  );
}

/** That an answer can't carry a pre-test probability is no fault of the reader's: the reason is what there is to say. */
function Refusal({ error }: { error: unknown }) {
  if (!(error instanceof Problem && error.status === 409)) return <ProblemNote error={error} />;
  return (
    <p class="note">
      <Why why={error} />
    </p>
  );
}
