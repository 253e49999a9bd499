// One study of the worklist. The whole row opens it; what else can be done has a button of its own.

import { nameOf } from "../../api/models";
import type { Image, PredictionState, Study } from "../../api/types";
import { Badge, type Tone } from "../../components/badge";
import { Icon } from "../../components/icons";
import { type Key, moment, number, t, word } from "../../i18n";
import { href } from "../../router";
import { names, shown } from "./patient-names";
import { hashOf, NONE } from "./study-list";

export function StudyRow({ study, erase }: { study: Study; erase: (() => void) | null }) {
  const first = study.images[0];
  const count = study.images.length;
  const who = nameOfPatient(study.patient);
  return (
    <li class="study" data-read={study.own_read}>
      <span class="thumb">
        {first && <img src={`/api/images/${first.id}/thumbnail`} alt="" width={64} height={64} loading="lazy" />}
        {count > 1 && <span class="thumb-count">{count}</span>}
      </span>
      <div class="study-who">
        <a class="study-open" href={href.study(study.id)}>
          {who}
        </a>
        <span class="soft small">
          <time dateTime={study.received}>{moment(study.received)}</time> · <code>{study.id.slice(0, 8)}</code>
          {count > 1 && ` · ${t("work.images", { count })}`}
        </span>
        {study.patient && (
          <a class="small study-same" href={hashOf({ ...NONE, patient: study.patient })}>
            {t("work.same-patient")}
          </a>
        )}
      </div>
      <Exposure images={study.images} />
      <ul class="study-models" aria-label={t("work.models")}>
        {byModel(study.predictions).map(({ model, state, done, all }) => (
          <li key={model}>
            <Badge tone={TONES[state]}>
              {word("state", state)}
              {all > 1 && done < all && ` ${done}/${all}`}
            </Badge>{" "}
            <span class="small">{nameOf(model)}</span>
          </li>
        ))}
        {study.predictions.length === 0 && <li class="soft small">{t("work.not-asked")}</li>}
      </ul>
      <span class="study-own">
        <Badge tone={OWN[study.own_read]}>{t(`work.read.${study.own_read}` as Key)}</Badge>
      </span>
      {erase && (
        <button type="button" class="bare study-erase" aria-label={t("work.erase-of", { who })} onClick={erase}>
          <Icon name="erase" />
        </button>
      )}
    </li>
  );
}

/** A patient's name where it is shown, else the pseudonym, shortened; or that the file names none. */
export function nameOfPatient(patient: string | null): string {
  if (patient === null) return t("work.nobody");
  const name = shown.value ? names.value[patient] : undefined;
  return name ?? t("work.patient-no", { number: patient.slice(0, 9) });
}

const TONES: Record<PredictionState["state"], Tone> = {
  queued: "plain",
  running: "busy",
  done: "plain",
  failed: "bad",
};
const OWN: Record<Study["own_read"], Tone> = {
  none: "plain",
  shown: "warn",
  draft: "warn",
  unaided: "good",
  final: "good",
};
const ORDER = ["failed", "running", "queued", "done"] as const;

/** Return how far each model is with a study: over all its images, the state that matters most first. */
export function byModel(predictions: PredictionState[]) {
  const found = new Map<string, Map<string, PredictionState>>();
  for (const one of predictions) {
    const images = found.get(one.model) ?? new Map();
    images.set(one.image, one); // the newest answer about an image is the last
    found.set(one.model, images);
  }
  return [...found].map(([model, images]) => {
    const states = [...images.values()].map((one) => one.state);
    return {
      model,
      state: ORDER.find((state) => states.includes(state)) ?? "done",
      done: states.filter((state) => state === "done").length,
      all: states.length,
    };
  });
}

/** How the images of a study were taken, and of whom, as far as the files say. */
function Exposure({ images }: { images: Image[] }) {
  const said = (pick: (facts: Image["facts"]) => string | undefined) => [
    ...new Set(images.map(({ facts }) => pick(facts)).filter((value) => value !== undefined)),
  ];
  const parts = [
    ...said(({ modality }) => modality),
    ...said(({ view }) => view && word("work.view", view)),
    ...said(({ body_part }) => body_part?.toLowerCase()),
  ];
  const person = [
    ...said(({ sex }) => sex && word("work.sex", sex)),
    ...said(({ age }) => (age === undefined ? undefined : t("work.age", { age: number(age, age % 1 ? 1 : 0) }))),
  ];
  const portable = images.some(({ facts }) => facts.portable);
  return (
    <div class="study-facts">
      <span>{parts.length > 0 ? parts.join(" · ") : t("work.unknown-view")}</span>
      <span class="soft small">{person.join(", ")}</span>
      {portable && <Badge>{t("work.portable")}</Badge>}
    </div>
  );
}
