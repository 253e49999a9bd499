// The models' answers about the visible image: the newest of each model, the older ones, and further questions.
import { useSignal } from "@preact/signals";
import { modelName } from "../../api/models";
import { t, translateTerm } from "../../i18n";
import { AnswerTable } from "./answer-table";
import { AskModels } from "./ask-models";
import { ModelAnswer } from "./model-answer";
import { OcclusionQuestion } from "./occlusion";
import { isUsable, splitAnswers } from "./predictions";
import { PretestProbability } from "./pretest-probability";
import { ReadingOrder } from "./reading-order";
import { findUnsuitability } from "./score-format";
import type { StudyStore } from "./study-store";
import { focusTab } from "./tabs";

export function ResultsTab({ store }: { store: StudyStore }) {
  const phase = store.phase.value;
  if (phase === "choice")
    return (
      <>
        <ReadingOrder store={store} />
        <AskedModels store={store} />
      </>
    );
  if (phase === "unaided") return <WithheldNotice store={store} />;
  return <AnswerList store={store} />;
}

function WithheldNotice({ store }: { store: StudyStore }) {
  return (
    <>
      <section class="sheet">
        <h2>{t("panel.withheld")}</h2>
        <p>{t("panel.withheld-words")}</p>
        <button
          type="button"
          onClick={() => {
            store.tab.value = "read";
            focusTab();
          }}
        >
          {t("panel.to-read")}
        </button>
      </section>
      <AskedModels store={store} />
    </>
  );
}

/** The models asked and their states; before the reader's own read nothing more may be shown. */
function AskedModels({ store }: { store: StudyStore }) {
  const predictions = store.open.study.value.predictions;
  return (
    <>
      {predictions.length > 0 && (
        <section aria-live="polite">
          <h2>{t("panel.asked")}</h2>
          <ul class="plain">
            {predictions.map((one) => (
              <li key={one.id}>
                {modelName(one.model)}: {translateTerm("state", one.state)}
              </li>
            ))}
          </ul>
        </section>
      )}
      <AskModels store={store} />
    </>
  );
}

function AnswerList({ store }: { store: StudyStore }) {
  const { image, predictions, study } = store.open;
  const chosenId = useSignal<string | null>(null);
  const { newest, older } = splitAnswers(predictions.value, image.value?.id);
  const facts = image.value?.facts ?? {};
  const unsuitability = findUnsuitability(facts);
  // An image that the gatekeeper refused has no scores to ask further questions about.
  const usable = newest.filter((one) => isUsable(one) && Object.keys(one.result?.probabilities ?? {}).length > 0);
  const subject = usable.find((one) => one.id === chosenId.value) ?? usable[0];
  return (
    <>
      <h2 class="hidden">{t("panel.answers")}</h2>
      {study.value.images.length > 1 && <ImageButtons store={store} />}
      {unsuitability && newest.some((one) => one.result && !one.result.screened) && (
        <p class="note">
          {t(`panel.unfit-${unsuitability}`, {
            said: (unsuitability === "lateral" ? facts.view : facts.body_part) ?? "",
          })}
        </p>
      )}
      {newest.length === 0 && <p class="soft">{t(store.answersLoaded.value ? "panel.none" : "app.loading")}</p>}
      {newest.length > 1 && <AnswerTable answers={newest} />}
      <div class="answers" data-several={newest.length > 1}>
        {newest.map((one) => (
          <ModelAnswer key={one.id} store={store} prediction={one} />
        ))}
      </div>
      {older.length > 0 && (
        <details class="older">
          <summary>{t("panel.older-answers", { n: older.length })}</summary>
          <div class="answers" data-several={older.length > 1}>
            {older.map((one) => (
              <ModelAnswer key={one.id} store={store} prediction={one} />
            ))}
          </div>
        </details>
      )}
      {subject && (
        <section class="further">
          <h2>{t("panel.further")}</h2>
          {usable.length > 1 && (
            <label class="field">
              <span>{t("panel.about-answer")}</span>
              <select
                value={subject.id}
                onChange={(event) => {
                  chosenId.value = event.currentTarget.value;
                }}
              >
                {usable.map((one) => (
                  <option key={one.id} value={one.id}>
                    {modelName(one.model)}
                  </option>
                ))}
              </select>
            </label>
          )}
          <PretestProbability key={`prior ${subject.id}`} store={store} prediction={subject} />
          <OcclusionQuestion key={`what-if ${subject.id}`} store={store} prediction={subject} />
        </section>
      )}
      <AskModels store={store} />
    </>
  );
}

function ImageButtons({ store }: { store: StudyStore }) {
  const { study, image } = store.open;
  return (
    <fieldset class="images">
      <legend class="hidden">{t("panel.images")}</legend>
      {study.value.images.map((one, place) => (
        <button
          key={one.id}
          type="button"
          aria-pressed={one.id === image.value?.id}
          onClick={() => store.showImage(one)}
        >
          {t("panel.image-n", { n: place + 1 })} {one.facts.view ?? ""}
        </button>
      ))}
    </fieldset>
  );
}
