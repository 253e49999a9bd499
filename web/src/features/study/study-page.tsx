// An open study: the image in the middle, the panel with reads and answers beside it (beneath it on a phone).
import { useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { usePageTitle } from "../../components/page-title";
import { ProblemNote } from "../../components/problem";
import { formatDateTime, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import "./study.css";
import { studyName } from "../worklist/patient-names";
import { useLeaveWarning } from "./leave-warning";
import { NeighbouringStudies } from "./neighbouring-studies";
import { PhoneBar } from "./reading-order";
import { StudyPanel } from "./study-panel";
import { createStudyStore, type StudyStore } from "./study-store";

/** Loaded when a study is opened, so that the worklist stays small. */
const Viewer = lazy(() => import("../viewer/viewer"));

export default function StudyPage({ id }: { id: string }) {
  const store = useSignal<StudyStore | null>(null);
  const problem = useSignal<unknown>(null);
  const tries = useSignal(0);
  usePageTitle(t("panel.title", { id: shortId(id) }));
  useEffect(() => {
    let cancelled = false;
    let opened: StudyStore | null = null;
    problem.value = null;
    createStudyStore(id).then(
      (created) => {
        opened = created;
        if (cancelled) created.close();
        else store.value = created;
      },
      (error: unknown) => {
        problem.value = error;
      },
    );
    return () => {
      cancelled = true;
      opened?.close();
    };
  }, [id, tries.value]);
  if (problem.value !== null)
    return (
      <>
        <h1>{t("panel.title", { id: shortId(id) })}</h1>
        <ProblemNote error={problem.value} onRetry={() => tries.value++} />
        <p>
          <a href={href.worklist()}>{t("panel.back")}</a>
        </p>
      </>
    );
  if (store.value === null) return <p class="soft">{t("app.loading")}</p>;
  return <Study store={store.value} />;
}

function Study({ store }: { store: StudyStore }) {
  const study = store.open.study.value;
  const leaveWarning = useLeaveWarning(store.unsaved);
  if (store.erased.value)
    return (
      <>
        <h1>{t("panel.gone")}</h1>
        <p>
          <a href={href.worklist()}>{t("panel.back")}</a>
        </p>
      </>
    );
  return (
    <div class="reading">
      <div class="reading-bar">
        <a class="reading-back" href={href.worklist()}>
          <span aria-hidden="true">‹ </span>
          {t("panel.back")}
        </a>
        <h1>
          {studyName(study)}{" "}
          <span class="reading-date">{t("panel.received-at", { when: formatDateTime(study.received) })}</span>{" "}
          <span class="mono soft small">{shortId(store.id)}</span>
        </h1>
        {study.label && <span class="label-chip small">{study.label.text}</span>}
        {study.patient_note && <strong class="study-note">{translateTerm("work.note", study.patient_note)}</strong>}
        <NeighbouringStudies open={store.open} />
      </div>
      <section class="reading-image" aria-label={t("panel.image")}>
        <Suspense fallback={<p class="soft">{t("app.loading")}</p>}>
          <Viewer open={store.open} />
        </Suspense>
      </section>
      <section class="reading-panel" aria-label={t("panel.panel")}>
        <StudyPanel store={store} />
      </section>
      <PhoneBar store={store} />
      {leaveWarning}
    </div>
  );
}

const shortId = (id: string) => id.slice(0, 8);
