// One study of the worklist. The whole row opens it; other actions have their own buttons.

import { modelName } from "../../api/models";
import type { Image, PredictionState, Study } from "../../api/types";
import { Badge, type Tone } from "../../components/badge";
import { Icon } from "../../components/icons";
import { formatDateTime, formatNumber, type Key, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { names, namesShown } from "./patient-names";
import { filterHash, NO_FILTER } from "./study-list";

export function StudyRow({ study, erase }: { study: Study; erase: (() => void) | null }) {
  const first = study.images[0];
  const count = study.images.length;
  const patientName = patientLabel(study.patient);
  return (
    <li class="study" data-read={study.own_read}>
      <span class="thumb">
        {first && <img src={`/api/images/${first.id}/thumbnail`} alt="" width={64} height={64} loading="lazy" />}
        {count > 1 && <span class="thumb-count">{count}</span>}
      </span>
      <div class="study-who">
        <a class="study-open" href={href.study(study.id)}>
          {patientName}
        </a>
        <span class="soft small">
          <time dateTime={study.received}>{formatDateTime(study.received)}</time> · <code>{study.id.slice(0, 8)}</code>
          {count > 1 && ` · ${t("work.images", { count })}`}
        </span>
        {study.patient && (
          <a class="small study-same" href={filterHash({ ...NO_FILTER, patient: study.patient })}>
            {t("work.same-patient")}
          </a>
        )}
      </div>
      <Exposure images={study.images} />
      <ul class="study-models" aria-label={t("work.models")}>
        {summarizeByModel(study.predictions).map(({ model, state, done, all }) => (
          <li key={model}>
            <Badge tone={STATE_TONES[state]}>
              {translateTerm("state", state)}
              {all > 1 && done < all && ` ${done}/${all}`}
            </Badge>{" "}
            <span class="small">{modelName(model)}</span>
          </li>
        ))}
        {study.predictions.length === 0 && <li class="soft small">{t("work.not-asked")}</li>}
      </ul>
      <span class="study-own">
        <Badge tone={READ_TONES[study.own_read]}>{t(`work.read.${study.own_read}` as Key)}</Badge>
      </span>
      {erase && (
        <button
          type="button"
          class="bare study-erase"
          aria-label={t("work.erase-of", { who: patientName })}
          onClick={erase}
        >
          <Icon name="erase" />
        </button>
      )}
    </li>
  );
}

/** Return a patient's name if names are shown, else the shortened pseudonym, or a text for a file without a patient. */
export function patientLabel(patient: string | null): string {
  if (patient === null) return t("work.nobody");
  const name = namesShown.value ? names.value[patient] : undefined;
  return name ?? t("work.patient-no", { number: patient.slice(0, 9) });
}

const STATE_TONES: Record<PredictionState["state"], Tone> = {
  queued: "plain",
  running: "busy",
  done: "plain",
  failed: "bad",
};
const READ_TONES: Record<Study["own_read"], Tone> = {
  none: "plain",
  shown: "warn",
  draft: "warn",
  unaided: "good",
  final: "good",
};
const STATE_ORDER = ["failed", "running", "queued", "done"] as const;

/** Return the progress of each model over a study's images, with the state that matters most. */
export function summarizeByModel(predictions: PredictionState[]) {
  const newestAnswers = new Map<string, Map<string, PredictionState>>();
  for (const one of predictions) {
    const images = newestAnswers.get(one.model) ?? new Map();
    images.set(one.image, one); // the last answer about an image is the newest
    newestAnswers.set(one.model, images);
  }
  return [...newestAnswers].map(([model, images]) => {
    const states = [...images.values()].map((one) => one.state);
    return {
      model,
      state: STATE_ORDER.find((state) => states.includes(state)) ?? "done",
      done: states.filter((state) => state === "done").length,
      all: states.length,
    };
  });
}

/** The projection of a study's images and the patient's sex and age, if the files state them. */
function Exposure({ images }: { images: Image[] }) {
  const distinct = (pick: (facts: Image["facts"]) => string | undefined) => [
    ...new Set(images.map(({ facts }) => pick(facts)).filter((value) => value !== undefined)),
  ];
  const parts = [
    ...distinct(({ modality }) => modality),
    ...distinct(({ view }) => view && translateTerm("work.view", view)),
    ...distinct(({ body_part }) => body_part?.toLowerCase()),
  ];
  const person = [
    ...distinct(({ sex }) => sex && translateTerm("work.sex", sex)),
    ...distinct(({ age }) =>
      age === undefined ? undefined : t("work.age", { age: formatNumber(age, age % 1 ? 1 : 0) }),
    ),
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
