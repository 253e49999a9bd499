// One study of the worklist. The whole row opens it; other actions have their own buttons.

import type { Signal } from "@preact/signals";
import { memo } from "preact/compat";
import { me } from "../../api/client";
import { modelName } from "../../api/models";
import type { Image, PredictionState, Study } from "../../api/types";
import { Icon } from "../../components/icons";
import { decisionLabels, findMessage, formatDateTime, formatNumber, type Key, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { examDate, namesShown, studyName } from "./patient-names";
import { SelectBox, selection } from "./selection";
import { filterHash, NO_FILTER } from "./study-list";

interface Props {
  study: Study;
  /** Set to the studies that are to be erased, after a question. */
  toErase: Signal<Study[]>;
}

function Row({ study, toErase }: Props) {
  const first = study.images[0];
  const count = study.images.length;
  const who = studyName(study);
  return (
    <li class="study" data-read={study.own_read}>
      <span class="thumb">
        {first && <img src={`/api/images/${first.id}/thumbnail`} alt="" width={40} height={40} loading="lazy" />}
        {count > 1 && <span class="thumb-count">{count}</span>}
        <SelectBox study={study} who={who} />
      </span>
      <span class="study-who">
        <a class="study-open" href={href.study(study.id)}>
          {who}
        </a>{" "}
        <code class="soft small">{study.id.slice(0, 8)}</code>
        {study.label && (
          <a class="label-chip small" href={filterHash({ ...NO_FILTER, label: study.label.key })}>
            {study.label.text}
          </a>
        )}
        {study.patient_note && <span class="study-note small"> {translateTerm("work.note", study.patient_note)}</span>}
        {count > 1 && <span class="hidden">{t("work.images", { count })}</span>}
      </span>
      {namesShown.value && <span class="study-exam">{examDate(study)}</span>}
      <Exposure images={study.images} />
      <time class="study-received small" dateTime={study.received}>
        {formatDateTime(study.received)}
      </time>
      <span class="study-own small" data-own={study.own_read}>
        {t(`work.read.${study.own_read}` as Key)}
      </span>
      <span class="study-models small">
        <Progress study={study} />
      </span>
      <RowMenu study={study} who={who} toErase={toErase} />
    </li>
  );
}

/** A row is drawn again only if its study has changed: a list may have thousands. */
export const StudyRow = memo(Row, (before, after) => before.study === after.study);

/** What is done about a study besides opening it. */
function RowMenu({ study, who, toErase }: Props & { who: string }) {
  const isAdmin = me.value?.role === "admin";
  if (!study.patient && !isAdmin) return <span />;
  return (
    <details class="study-menu" name="study-menu">
      <summary aria-label={t("work.menu-of", { who })}>⋯</summary>
      <div class="sheet">
        {study.patient && <a href={filterHash({ ...NO_FILTER, patient: study.patient })}>{t("work.same-patient")}</a>}
        {isAdmin && (
          <button
            type="button"
            class="bare"
            onClick={(event) => {
              event.currentTarget.closest("details")?.removeAttribute("open");
              selection.value = new Set([study.id]);
            }}
          >
            {t("work.select")}
          </button>
        )}
        {isAdmin && (
          <button
            type="button"
            class="bare"
            aria-label={t("work.erase-of", { who })}
            onClick={(event) => {
              event.currentTarget.closest("details")?.removeAttribute("open");
              toErase.value = [study];
            }}
          >
            <Icon name="erase" /> {t("work.erase")}
          </button>
        )}
      </div>
    </details>
  );
}

/** How far the answers are: one word where all models agree on it, else a word for each group of models. */
function Progress({ study }: { study: Study }) {
  const groups = groupByProgress(summarizeByModel(study.predictions));
  if (groups.length === 0) return <span class="soft">{t("work.not-asked")}</span>;
  return (
    <>
      {groups.map(({ key, models, state, refusal, decision, done, all }) => (
        <span
          key={key}
          class="progress"
          data-state={refusal ? "refused" : state}
          title={models.map(modelName).join(", ")}
        >
          {decision && groups.length > 1 ? `${models.map(modelName).join(", ")}: ` : ""}
          {decision ? decisionLabels(decision) : progressWord(state, refusal)}
          {all > 1 && done < all && ` ${done}/${all}`}
        </span>
      ))}
    </>
  );
}

function progressWord(state: PredictionState["state"], refusal: string | null): string {
  if (!refusal) return translateTerm("state", state);
  const reason = findMessage(`refusal.${refusal}`, {});
  return reason === null ? t("state.refused") : `${t("state.refused")}: ${reason}`;
}

const STATE_ORDER = ["failed", "running", "queued", "done"] as const;

export interface ModelProgress {
  model: string;
  state: PredictionState["state"];
  done: number;
  all: number;
  /** The code of the first refusal, where the model has refused every image. */
  refusal: string | null;
  /** Its answer, once the reader's own report is final: the newest one about the first image that has one. */
  decision: string | null;
}

/** Return the progress of each model over a study's images, with the state that matters most. */
export function summarizeByModel(predictions: PredictionState[]): ModelProgress[] {
  const newestAnswers = new Map<string, Map<string, PredictionState>>();
  for (const one of predictions) {
    const images = newestAnswers.get(one.model) ?? new Map();
    images.set(one.image, one); // the last answer about an image is the newest
    newestAnswers.set(one.model, images);
  }
  return [...newestAnswers].map(([model, images]) => {
    const newest = [...images.values()];
    const states = newest.map((one) => one.state);
    return {
      model,
      state: STATE_ORDER.find((state) => states.includes(state)) ?? "done",
      done: states.filter((state) => state === "done").length,
      all: states.length,
      refusal: newest.every((one) => one.refusal) ? (newest[0]?.refusal ?? null) : null,
      decision: newest.find((one) => one.decision)?.decision ?? null,
    };
  });
}

/** Return models that are equally far as one group. */
export function groupByProgress(list: ModelProgress[]) {
  const groups = new Map<string, Omit<ModelProgress, "model"> & { key: string; models: string[] }>();
  for (const { model, ...progress } of list) {
    const key = Object.values(progress).join("/");
    const group = groups.get(key);
    if (group) group.models.push(model);
    else groups.set(key, { ...progress, key, models: [model] });
  }
  return [...groups.values()];
}

/** The projection of a study's images and the patient's sex and age, if the files state them. */
function Exposure({ images }: { images: Image[] }) {
  const distinct = (pick: (facts: Image["facts"]) => string | undefined) => [
    ...new Set(images.map(({ facts }) => pick(facts)).filter((value) => value !== undefined)),
  ];
  const parts = [
    ...distinct(({ modality }) => modality),
    ...distinct(({ view }) => view && translateTerm("work.view", view)),
    ...distinct(({ body_part }) => body_part && translateTerm("work.body", body_part.toLowerCase())),
  ];
  const person = [
    ...distinct(({ sex }) => sex && translateTerm("work.sex", sex)),
    ...distinct(({ age }) =>
      age === undefined ? undefined : t("work.age", { age: formatNumber(age, age % 1 ? 1 : 0) }),
    ),
  ];
  const portable = images.some(({ facts }) => facts.portable) && t("work.portable");
  return (
    <span class="study-facts small">
      {[parts.length > 0 ? parts.join(" · ") : t("work.unknown-view"), ...person, portable].filter(Boolean).join(", ")}
    </span>
  );
}
