// Thumbnails of this study's images and of the patient's other studies, for comparison.
import { useEffect } from "preact/hooks";
import { api, body } from "../../api/client";
import type { Image, Study } from "../../api/types";
import { formatDateTime, t } from "../../i18n";
import type { ViewerStore } from "./viewer-store";

/** The most other studies that are offered; the worklist shows all. */
const MAX_STUDIES = 20;

export function ThumbnailStrip({ store }: { store: ViewerStore }) {
  const study = store.open.study.value;
  useOtherStudies(store, study);
  const others = store.others.value ?? [];
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
                caption={`${t("view.prior")} ${formatDateTime(one.received)}`}
                onClick={() => showBeside(one, image)}
              />
            </li>
          )),
        )}
      </ul>
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

function useOtherStudies(store: ViewerStore, study: Study): void {
  const { id, patient } = study;
  useEffect(() => {
    store.others.value = patient ? null : [];
    if (!patient) return;
    let cancelled = false;
    body(api.GET("/api/studies", { params: { query: { patient, limit: MAX_STUDIES } } })).then(
      (page) => {
        if (!cancelled) store.others.value = page.studies.filter((one) => one.id !== id);
      },
      () => {
        if (!cancelled) store.others.value = [];
      },
    );
    return () => {
      cancelled = true;
    };
  }, [store, id, patient]);
}
