// Thumbnails of this study's images and of the patient's other studies, for comparison.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body, me } from "../../api/client";
import { watch } from "../../api/events";
import type { Image, Study } from "../../api/types";
import { formatDateTime, t } from "../../i18n";
import { keepPreference, readPreference } from "../../preferences";
import { togglePrior } from "./actions";
import { describeProjection, describeRelation, formatDate } from "./image-facts";
import type { ViewerStore } from "./viewer-store";

const STORAGE_KEY = "pneumoscope.prior";
/** Whether the newest other study of the patient opens beside this one by itself. */
const opensPrior = signal(readPreference(STORAGE_KEY) === "on");

/** Say of another study's image when it was examined, if the account may know it, and what else is known of it. */
function describePrior(store: ViewerStore, study: Study, image: Image): string {
  const date = examinedOn(store, study);
  const when = date
    ? t("view.examined", { when: formatDate(date) })
    : t("view.received", { when: formatDateTime(study.received) });
  // Of a study that was fetched, the time of its receipt says nothing.
  const lines = [
    [describeRelation(store, study), date || !study.prior ? when : null],
    [describeProjection(image), study.prior ? t("view.prior.fetched") : null],
  ];
  return lines
    .map((parts) => parts.filter(Boolean).join(", "))
    .filter(Boolean)
    .join("\n");
}

function examinedOn(store: ViewerStore, study: Study): string {
  return store.identities.value.get(study.id)?.examination?.date ?? "";
}

/** The newest examination first; one without a known date keeps its place by receipt. */
function byExamination(store: ViewerStore, studies: Study[]): Study[] {
  if (studies.some((one) => !examinedOn(store, one))) return studies;
  return [...studies].sort((a, b) => examinedOn(store, b).localeCompare(examinedOn(store, a)));
}

/** The most other studies that are offered; the worklist shows all. */
const MAX_STUDIES = 20;

export function ThumbnailStrip({ store }: { store: ViewerStore }) {
  const study = store.open.study.value;
  useOtherStudies(store, study);
  const others = byExamination(store, store.others.value ?? []);
  if (study.images.length < 2 && others.length === 0) return null;
  const showBeside = (one: Study, image: Image) => {
    store.prior.value = store.pane(image, one, true);
    store.onPrior.value = true;
    store.announcement.value = t("view.prior.shown");
  };
  return (
    <nav class="view-strip" aria-label={t("view.strip")}>
      <ul>
        {study.images.map((image, i) => (
          <li key={image.id}>
            <Thumbnail
              image={image}
              on={store.open.image.value?.id === image.id}
              caption={t("view.strip.image", { number: i + 1 })}
              onClick={() => {
                store.open.image.value = image;
                store.onPrior.value = false; // on a narrow screen, which shows one image, this one is shown
              }}
            />
          </li>
        ))}
        {others.flatMap((one) =>
          one.images.map((image) => (
            <li key={image.id}>
              <Thumbnail
                image={image}
                on={store.prior.value?.image.id === image.id}
                caption={describePrior(store, one, image)}
                onClick={() => showBeside(one, image)}
              />
            </li>
          )),
        )}
      </ul>
      {others.length > 0 && (
        <label class="check small">
          <input
            type="checkbox"
            checked={opensPrior.value}
            onChange={(event) => {
              opensPrior.value = event.currentTarget.checked;
              keepPreference(STORAGE_KEY, opensPrior.value ? "on" : "off");
            }}
          />
          {t("view.prior.auto")}
        </label>
      )}
    </nav>
  );
}

function Thumbnail({ image, on, caption, onClick }: { image: Image; on: boolean; caption: string; onClick(): void }) {
  return (
    <button type="button" class="view-thumb" aria-pressed={on} onClick={onClick}>
      <img src={`/api/images/${image.id}/thumbnail`} alt="" loading="lazy" />
      <span>{caption}</span>
    </button>
  );
}

/** Fetch the dates of examination of other studies, for accounts that may know them; each look is logged. */
async function fetchExams(store: ViewerStore, studies: Study[]): Promise<void> {
  if (!me.value?.sees_names) return;
  for (const { id } of studies) {
    if (store.identities.value.has(id)) continue;
    const path = { study: id };
    const identity = await body(api.GET("/api/studies/{study}/identity", { params: { path } })).catch(() => null);
    if (identity) store.identities.value = new Map(store.identities.value).set(id, identity);
  }
}

function useOtherStudies(store: ViewerStore, study: Study): void {
  const { id, patient } = study;
  useEffect(() => {
    store.others.value = patient ? null : [];
    if (!patient) return;
    let cancelled = false;
    const load = () =>
      body(api.GET("/api/studies", { params: { query: { patient, priors: true, limit: MAX_STUDIES } } })).then(
        (page) => {
          if (cancelled) return;
          const others = page.studies.filter((one) => one.id !== id);
          const isFirst = (store.others.value ?? []).length === 0;
          store.others.value = others;
          void fetchExams(store, others);
          if (isFirst && opensPrior.value && !store.prior.value && others.length > 0) togglePrior(store);
        },
        () => {
          if (!cancelled) store.others.value ??= [];
        },
      );
    void load();
    const stop = watch((change) => {
      if (change.study === id && change.state === "prior") void load(); // an earlier study was fetched
    });
    return () => {
      cancelled = true;
      stop();
    };
  }, [store, id, patient]);
}
