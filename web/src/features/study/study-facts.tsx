// The facts of the study and its images and, for admins, the erasure of the study.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body, me } from "../../api/client";
import type { Image } from "../../api/types";
import { ConfirmDialog } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { showToast } from "../../components/toast";
import { formatDateTime, formatNumber, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { loadOwnLabels, ownLabels } from "../worklist/own-labels";
import { EMPTY_REFERENCE, type StudyStore } from "./study-store";

export function StudyFacts({ store }: { store: StudyStore }) {
  const study = store.open.study.value;
  return (
    <>
      <h2>{t("panel.facts")}</h2>
      <OwnLabel store={store} />
      <dl class="facts">
        <dt>{t("panel.number")}</dt>
        <dd class="mono">{study.id}</dd>
        <dt>{t("panel.patient")}</dt>
        <dd class="mono">{study.patient ?? t("panel.no-patient")}</dd>
        {study.file && (
          <>
            <dt>{t("panel.file-name")}</dt>
            <dd>{study.file}</dd>
          </>
        )}
        <dt>{t("panel.received")}</dt>
        <dd>{formatDateTime(study.received)}</dd>
      </dl>
      {study.images.map((image, place) => (
        <ImageFacts key={image.id} image={image} place={place} />
      ))}
      {me.value?.role === "admin" && <EraseStudy store={store} />}
    </>
  );
}

/** A label that the reader gives, to find the study again. */
function OwnLabel({ store }: { store: StudyStore }) {
  const problem = useSignal<unknown>(null);
  const typed = useSignal<string | null>(null);
  const label = store.open.study.value.label ?? null;
  const text = typed.value ?? label?.text ?? "";
  useEffect(() => void loadOwnLabels().catch(() => {}), []); // they are proposals only
  const save = async () => {
    problem.value = null;
    try {
      const path = { study: store.id };
      const saved = await body(api.PUT("/api/studies/{study}/label", { params: { path }, body: { text } }));
      await store.refresh(); // an answer that was on its way since before this label must not remove it
      typed.value = null;
      showToast(saved ? t("own-label.saved", { label: saved.text }) : t("own-label.removed"));
      await loadOwnLabels();
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <form
      class="own-label"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <label class="field">
        <span>{t("own-label.own")}</span>
        <input
          value={text}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
          list="own-labels"
          maxLength={64}
        />
      </label>
      <datalist id="own-labels">
        {ownLabels.value.map(({ key, text }) => (
          <option key={key} value={text} />
        ))}
      </datalist>
      <button type="submit">{t("own-label.save")}</button>
      <p class="soft small">{t("own-label.note")}</p>
      {problem.value !== null && <ProblemNote error={problem.value} />}
    </form>
  );
}

function ImageFacts({ image, place }: { image: Image; place: number }) {
  const { facts } = image;
  const rows: [string, string | undefined, string?][] = [
    [t("panel.file"), `${image.format}, ${t("panel.bits", { n: image.bits })}, ${image.width} \u00d7 ${image.height}`],
    [t("panel.view"), facts.view, "ViewPosition (0018,5101)"],
    [t("panel.portable"), facts.portable ? t("panel.yes") : undefined],
    [t("panel.modality"), facts.modality, "Modality (0008,0060)"],
    [t("panel.body-part"), facts.body_part, "BodyPartExamined (0018,0015)"],
    [
      t("panel.laterality"),
      facts.laterality && translateTerm("panel.laterality", facts.laterality),
      "ImageLaterality (0020,0062)",
    ],
    [t("panel.sex"), facts.sex && translateTerm("panel.sex", facts.sex), "PatientSex (0010,0040)"],
    [
      t("panel.age"),
      facts.age === undefined ? undefined : t("panel.years", { n: formatNumber(facts.age, 0) }),
      "PatientAge (0010,1010)",
    ],
    [t("panel.device"), facts.manufacturer, "Manufacturer (0008,0070)"],
    [
      t("panel.spacing"),
      formatSpacing(image),
      facts.pixel_spacing_kind === "patient" ? "PixelSpacing (0028,0030)" : "ImagerPixelSpacing (0018,1164)",
    ],
    [t("panel.depth"), facts.depth === undefined ? undefined : t("panel.bits", { n: facts.depth })],
  ];
  return (
    <section>
      <h3>{t("panel.image-n", { n: place + 1 })}</h3>
      <dl class="facts">
        {rows.map(([name, value, tag]) =>
          value === undefined ? null : (
            <>
              <dt>{name}</dt>
              <dd>
                {value}
                {tag && image.format.toLowerCase() === "dicom" && <span class="soft small tag"> {tag}</span>}
              </dd>
            </>
          ),
        )}
      </dl>
      {facts.burned_in === "unknown" && <p class="note">{t("panel.burned-in")}</p>}
    </section>
  );
}

function formatSpacing({ facts }: Image): string | undefined {
  const { pixel_spacing_row: row, pixel_spacing_col: col, pixel_spacing_kind: kind } = facts;
  if (row === undefined || col === undefined) return undefined;
  const size = `${formatNumber(row, 3)} \u00d7 ${formatNumber(col, 3)} mm`;
  return kind ? `${size} (${translateTerm("panel.spacing", kind)})` : size;
}

function EraseStudy({ store }: { store: StudyStore }) {
  const confirming = useSignal(false);
  const erase = async () => {
    await body(api.DELETE("/api/studies/{study}", { params: { path: { study: store.id } } }));
    for (const one of [store.unsavedDrafts.unaided, store.unsavedDrafts.aided]) one.value = null;
    store.addendum.value = "";
    store.reference.value = EMPTY_REFERENCE;
    showToast(t("panel.erased"));
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
          confirming.value = true;
        }}
      >
        {t("panel.erase-do")}
      </button>
      {confirming.value && (
        <ConfirmDialog
          title={t("panel.erase-ask")}
          confirmLabel={t("panel.erase-do")}
          onConfirm={erase}
          onClose={() => {
            confirming.value = false;
          }}
        >
          <p>{t("panel.erase-words")}</p>
        </ConfirmDialog>
      )}
    </section>
  );
}
