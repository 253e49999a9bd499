// The models' answers about the image in view: newest of each model side by side, older ones by time, what to ask of them.
import { useSignal } from "@preact/signals";
import { nameOf } from "../../api/models";
import { t, word } from "../../i18n";
import { Ask } from "./ask-models";
import { Answer } from "./model-answer";
import { WhatIf } from "./occlusion";
import { answersOf, usable } from "./predictions";
import { Prior } from "./pretest-probability";
import { Choice } from "./reading-order";
import { unfit } from "./score-format";
import type { Desk } from "./study-store";
import { focusTab } from "./tabs";

export function Results({ desk }: { desk: Desk }) {
  const phase = desk.phase.value;
  if (phase === "choice")
    return (
      <>
        <Choice desk={desk} />
        <Asked desk={desk} />
      </>
    );
  if (phase === "unaided") return <Withheld desk={desk} />;
  return <Answers desk={desk} />;
}

function Withheld({ desk }: { desk: Desk }) {
  return (
    <>
      <section class="sheet">
        <h2>{t("panel.withheld")}</h2>
        <p>{t("panel.withheld-words")}</p>
        <button
          type="button"
          onClick={() => {
            desk.tab.value = "read";
            focusTab();
          }}
        >
          {t("panel.to-read")}
        </button>
      </section>
      <Asked desk={desk} />
    </>
  );
}

/** Which models were asked and how far they are: no more may be said before the own read. */
function Asked({ desk }: { desk: Desk }) {
  const predictions = desk.open.study.value.predictions;
  return (
    <>
      {predictions.length > 0 && (
        <section aria-live="polite">
          <h2>{t("panel.asked")}</h2>
          <ul class="plain">
            {predictions.map((one) => (
              <li key={one.id}>
                {nameOf(one.model)}: {word("state", one.state)}
              </li>
            ))}
          </ul>
        </section>
      )}
      <Ask desk={desk} />
    </>
  );
}

function Answers({ desk }: { desk: Desk }) {
  const { image, predictions, study } = desk.open;
  const chosen = useSignal<string | null>(null);
  const { newest: first, older } = answersOf(predictions.value, image.value?.id);
  const facts = image.value?.facts ?? {};
  const why = unfit(facts);
  const open = first.filter(usable);
  const subject = open.find((one) => one.id === chosen.value) ?? open[0];
  return (
    <>
      <h2 class="hidden">{t("panel.answers")}</h2>
      {study.value.images.length > 1 && <Images desk={desk} />}
      {why && (
        <p class="note">
          {t(`panel.unfit-${why}`, { said: (why === "lateral" ? facts.view : facts.body_part) ?? "" })}
        </p>
      )}
      {first.length === 0 && <p class="soft">{t(desk.answered.value ? "panel.none" : "app.loading")}</p>}
      <div class="answers" data-several={first.length > 1}>
        {first.map((one) => (
          <Answer key={one.id} desk={desk} prediction={one} />
        ))}
      </div>
      {older.length > 0 && (
        <details class="older">
          <summary>{t("panel.older-answers", { n: older.length })}</summary>
          <div class="answers" data-several={older.length > 1}>
            {older.map((one) => (
              <Answer key={one.id} desk={desk} prediction={one} />
            ))}
          </div>
        </details>
      )}
      {subject && (
        <section class="further">
          <h2>{t("panel.further")}</h2>
          {open.length > 1 && (
            <label class="field">
              <span>{t("panel.about-answer")}</span>
              <select
                value={subject.id}
                onChange={(event) => {
                  chosen.value = event.currentTarget.value;
                }}
              >
                {open.map((one) => (
                  <option key={one.id} value={one.id}>
                    {nameOf(one.model)}
                  </option>
                ))}
              </select>
            </label>
          )}
          <Prior key={`prior ${subject.id}`} desk={desk} prediction={subject} />
          <WhatIf key={`what-if ${subject.id}`} desk={desk} prediction={subject} />
        </section>
      )}
      <Ask desk={desk} />
    </>
  );
}

function Images({ desk }: { desk: Desk }) {
  const { study, image } = desk.open;
  return (
    <fieldset class="images">
      <legend class="hidden">{t("panel.images")}</legend>
      {study.value.images.map((one, place) => (
        <button key={one.id} type="button" aria-pressed={one.id === image.value?.id} onClick={() => desk.view(one)}>
          {t("panel.image-n", { n: place + 1 })} {one.facts.view ?? ""}
        </button>
      ))}
    </fieldset>
  );
}
