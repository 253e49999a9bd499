// What is known of the study and its images, and, for admins, its erasure.
import { useSignal } from "@preact/signals";
import { api, body, me } from "../../api/client";
import type { Image } from "../../api/types";
import { Confirm } from "../../components/dialog";
import { say } from "../../components/toast";
import { moment, number, t, word } from "../../i18n";
import { href } from "../../router";
import { type Desk, NO_REFERENCE } from "./study-store";

export function Facts({ desk }: { desk: Desk }) {
  const study = desk.open.study.value;
  return (
    <>
      <h2>{t("panel.facts")}</h2>
      <dl class="facts">
        <dt>{t("panel.number")}</dt>
        <dd class="mono">{study.id}</dd>
        <dt>{t("panel.patient")}</dt>
        <dd class="mono">{study.patient ?? t("panel.no-patient")}</dd>
        <dt>{t("panel.received")}</dt>
        <dd>{moment(study.received)}</dd>
      </dl>
      {study.images.map((image, place) => (
        <ImageFacts key={image.id} image={image} place={place} />
      ))}
      {me.value?.role === "admin" && <Erase desk={desk} />}
    </>
  );
}

function ImageFacts({ image, place }: { image: Image; place: number }) {
  const { facts } = image;
  const rows: [string, string | undefined][] = [
    [t("panel.file"), `${image.format}, ${t("panel.bits", { n: image.bits })}, ${image.width} \u00d7 ${image.height}`],
    [t("panel.view"), facts.view],
    [t("panel.portable"), facts.portable ? t("panel.yes") : undefined],
    [t("panel.modality"), facts.modality],
    [t("panel.body-part"), facts.body_part],
    [t("panel.laterality"), facts.laterality && word("panel.laterality", facts.laterality)],
    [t("panel.sex"), facts.sex && word("panel.sex", facts.sex)],
    [t("panel.age"), facts.age === undefined ? undefined : t("panel.years", { n: number(facts.age, 0) })],
    [t("panel.device"), [facts.manufacturer, facts.model].filter(Boolean).join(" ") || undefined],
    [t("panel.spacing"), spacing(image)],
  ];
  return (
    <section>
      <h3>{t("panel.image-n", { n: place + 1 })}</h3>
      <dl class="facts">
        {rows.map(([name, value]) =>
          value === undefined ? null : (
            <>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </>
          ),
        )}
      </dl>
      {facts.burned_in === "unknown" && <p class="note">{t("panel.burned-in")}</p>}
    </section>
  );
}

function spacing({ facts }: Image): string | undefined {
  const { pixel_spacing_row: row, pixel_spacing_col: col, pixel_spacing_kind: kind } = facts;
  if (row === undefined || col === undefined) return undefined;
  const size = `${number(row, 3)} \u00d7 ${number(col, 3)} mm`;
  return kind ? `${size} (${word("panel.spacing", kind)})` : size;
}

function Erase({ desk }: { desk: Desk }) {
  const asking = useSignal(false);
  const erase = async () => {
    await body(api.DELETE("/api/studies/{study}", { params: { path: { study: desk.id } } }));
    for (const one of [desk.unsent.unaided, desk.unsent.aided]) one.value = null;
    desk.addendum.value = "";
    desk.reference.value = NO_REFERENCE;
    say(t("panel.erased"));
    location.hash = href.worklist();
  };
  return (
    <section class="erase">
      <h3>{t("panel.erase")}</h3>
      <p class="small soft">{t("panel.erase-words")}</p>
      <button
        type="button"
        class="danger"
        onClick={() => {
          asking.value = true;
        }}
      >
        {t("panel.erase-do")}
      </button>
      {asking.value && (
        <Confirm
          title={t("panel.erase-ask")}
          doIt={t("panel.erase-do")}
          act={erase}
          onClose={() => {
            asking.value = false;
          }}
        >
          <p>{t("panel.erase-words")}</p>
        </Confirm>
      )}
    </section>
  );
}
