// The panel beside the image: the reader's own report, the models' answers, the reference standard, facts.
import { useEffect } from "preact/hooks";
import { about, me } from "../../api/client";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { isUnaidedLocked, mayShowAnswers, type Phase } from "./reading-phase";
import { ReferenceTab } from "./reference-tab";
import { ReportTab } from "./report-tab";
import { ResultsTab } from "./results-tab";
import { StudyFacts } from "./study-facts";
import type { StudyStore, TabName } from "./study-store";
import { type Tab, Tabs } from "./tabs";

export function StudyPanel({ store }: { store: StudyStore }) {
  const phase = store.phase.value;
  const unsavedMark = (unsaved: boolean) => (unsaved ? t("read.unsent") : undefined);
  useEffect(
    () =>
      store.tab.subscribe((tab) => {
        if (tab !== "model") store.open.brush.value = null; // the brush belongs to a form that is no longer visible
      }),
    [store],
  );
  const tabs: Tab<TabName>[] = [
    {
      name: "read",
      title: t(mayShowAnswers(phase) ? "panel.tab-report" : "panel.tab-read"),
      mark: unsavedMark(store.dirty.value),
      content: () => <ReportTab store={store} />,
    },
    { name: "model", title: t("panel.tab-model"), content: () => <ResultsTab store={store} /> },
    {
      name: "reference",
      title: t("panel.tab-reference"),
      mark: unsavedMark(store.referenceDirty.value),
      content: () => <ReferenceTab store={store} />,
    },
    { name: "study", title: t("panel.tab-study"), content: () => <StudyFacts store={store} /> },
  ];
  if (store.open.study.value.prior)
    return (
      <>
        <p class="note">{t("panel.prior")}</p>
        <StudyFacts store={store} />
      </>
    );
  return (
    <>
      <ReadingSteps store={store} />
      {store.problem.value !== null && <ProblemNote error={store.problem.value} onRetry={() => void store.refresh()} />}
      <Tabs tabs={tabs} chosen={store.tab} label={t("panel.panel")} />
    </>
  );
}

/** The steps of reading: own read, answers, report. */
function ReadingSteps({ store }: { store: StudyStore }) {
  const phase: Phase = store.phase.value;
  if (phase === "choice") return null;
  const unaided = phase === "unaided" || isUnaidedLocked(store.reads.value, me.value?.id ?? "");
  const at = phase === "unaided" ? 0 : phase === "aided" ? 1 : 2;
  const steps = [t(unaided ? "panel.step-unaided" : "panel.step-none"), t("panel.step-aided"), t("panel.step-done")];
  return (
    <div class="steps">
      <ol aria-label={t("panel.steps")}>
        {steps.map((step, place) => (
          <li
            key={step}
            data-past={place < at && (place > 0 || unaided)}
            aria-current={place === at ? "step" : undefined}
          >
            {step}
          </li>
        ))}
      </ol>
      <p class="small soft" role="status">
        {t(about.value?.reads_first ? `panel.now-${phase}` : `panel.free-${phase}`)}
      </p>
    </div>
  );
}
