// Updates the reader's own pre-test probability by the answer. The result is the reader's number, not the model's.
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { viewOfFinding } from "../../api/card";
import { api, body, Problem } from "../../api/client";
import { openDraft } from "../../api/drafts";
import type { Posterior, Prediction } from "../../api/types";
import { ProblemNote, ProblemText } from "../../components/problem";
import { labelName, t } from "../../i18n";
import { cardOf, findRatioBand } from "./partial-card";
import { PosteriorResult } from "./posterior-result";
import { mainLabel } from "./predictions";
import { parsePercent } from "./score-format";
import type { StudyStore } from "./study-store";

const SOURCES = ["prior.source-local", "prior.source-score", "prior.source-contact", "prior.source-test"] as const;

export function PretestProbability({ store, prediction }: { store: StudyStore; prediction: Prediction }) {
  const id = useId();
  const percentText = openDraft(`prior/${store.id}`, "");
  const source = openDraft(`prior-source/${store.id}`, "");
  const posterior = useSignal<Posterior | null>(null);
  const problem = useSignal<unknown>(null);
  const share = parsePercent(percentText.value);
  const invalid = percentText.value.trim() !== "" && share === null;
  const ready = share !== null && source.value.trim().length >= 3;
  const findings = prediction.result?.findings ?? [];
  const finding = useSignal(mainLabel(prediction.result ?? {}) ?? "");
  const label = labelName(finding.value);
  const score = prediction.result?.probabilities?.[finding.value] ?? 0;
  const band = findRatioBand(viewOfFinding(cardOf(store.details.value[prediction.model]), finding.value), score);
  const ask = async (event: Event) => {
    event.preventDefault();
    if (share === null) return;
    [posterior.value, problem.value] = [null, null];
    try {
      posterior.value = await body(
        api.POST("/api/predictions/{prediction}/posterior", {
          params: { path: { prediction: prediction.id } },
          body: {
            probability: share,
            source: source.value.trim(),
            ...(findings.length > 0 && { finding: finding.value }),
          },
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
        {findings.length > 0 && (
          <label class="field" for={`${id}-f`}>
            <span>{t("panel.finding")}</span>
            <select
              id={`${id}-f`}
              value={finding.value}
              onChange={(event) => {
                finding.value = event.currentTarget.value;
                [posterior.value, problem.value] = [null, null];
              }}
            >
              {findings.map((one) => (
                <option key={one.label} value={one.label}>
                  {labelName(one.label)}
                </option>
              ))}
            </select>
          </label>
        )}
        <div class="pair prior-pair">
          <label class="field" for={`${id}-p`}>
            <span>{t("prior.probability", { label })}</span>
            <span class="of">
              <input
                id={`${id}-p`}
                inputMode="decimal"
                autocomplete="off"
                value={percentText.value}
                aria-invalid={invalid}
                aria-describedby={invalid ? `${id}-wrong` : undefined}
                onInput={(event) => {
                  percentText.value = event.currentTarget.value;
                  posterior.value = null;
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
                posterior.value = null;
              }}
            />
          </label>
          <datalist id={`${id}-sources`}>
            {SOURCES.map((key) => (
              <option key={key} value={t(key)} />
            ))}
          </datalist>
        </div>
        {invalid && (
          <p class="problem small" id={`${id}-wrong`}>
            {t("prior.wrong")}
          </p>
        )}
        <button type="submit" disabled={!ready}>
          {t("prior.do")}
        </button>
        <div aria-live="polite">
          {problem.value !== null && <Refusal error={problem.value} />}
          {posterior.value && <PosteriorResult posterior={posterior.value} band={band} />}
        </div>
      </form>
    </details>
  );
}

/** Shows why an answer can't update a pre-test probability. That is not the reader's error, so it is a plain note. */
function Refusal({ error }: { error: unknown }) {
  if (!(error instanceof Problem && error.status === 409)) return <ProblemNote error={error} />;
  return (
    <p class="note">
      <ProblemText refusal={error} />
    </p>
  );
}
