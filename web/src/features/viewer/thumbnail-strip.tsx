// The images of this study, and those of the patient's other studies to lay beside.
import { useEffect } from "preact/hooks";
import { api, body } from "../../api/client";
import type { Image, Study } from "../../api/types";
import { moment, t } from "../../i18n";
import type { Room } from "./viewer-store";

/** Other studies that are offered; the worklist has them all. */
const OFFERED = 20;

export function Strip({ room }: { room: Room }) {
  const study = room.open.study.value;
  useOthers(room, study);
  const others = room.others.value ?? [];
  if (study.images.length < 2 && others.length === 0) return null;
  const lay = (one: Study, image: Image) => {
    room.prior.value = room.pane(image, one, true);
    room.onPrior.value = true;
    room.said.value = t("view.prior.shown");
  };
  return (
    <nav class="view-strip" aria-label={t("view.strip")}>
      <ul>
        {study.images.map((image, i) => (
          <li key={image.id}>
            <Thumbnail
              image={image}
              on={room.open.image.value?.id === image.id}
              words={t("view.strip.image", { number: i + 1 })}
              onClick={() => {
                room.open.image.value = image;
                room.onPrior.value = false; // where there is room for one, this one is shown
              }}
            />
          </li>
        ))}
        {others.flatMap((one) =>
          one.images.map((image) => (
            <li key={image.id}>
              <Thumbnail
                image={image}
                on={room.prior.value?.image.id === image.id}
                words={`${t("view.prior")} ${moment(one.received)}`}
                onClick={() => lay(one, image)}
              />
            </li>
          )),
        )}
      </ul>
    </nav>
  );
}

function Thumbnail({ image, on, words, onClick }: { image: Image; on: boolean; words: string; onClick(): void }) {
  return (
    <button type="button" class="view-thumb" aria-pressed={on} onClick={onClick}>
      <img src={`/api/images/${image.id}/thumbnail`} alt="" loading="lazy" />
      <span>{words}</span>
    </button>
  );
}

function useOthers(room: Room, study: Study): void {
  const { id, patient } = study;
  useEffect(() => {
    room.others.value = patient ? null : [];
    if (!patient) return;
    let left = false;
    body(api.GET("/api/studies", { params: { query: { patient, limit: OFFERED } } })).then(
      (page) => {
        if (!left) room.others.value = page.studies.filter((one) => one.id !== id);
      },
      () => {
        if (!left) room.others.value = [];
      },
    );
    return () => {
      left = true;
    };
  }, [room, id, patient]);
}
