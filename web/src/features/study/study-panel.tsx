// The panel beside the image: the reader's own report, the models' answers, the reference standard, facts.
import { useEffect } from "preact/hooks";
import { about, me } from "../../api/client";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { lockedUnaided, mayShow, type Phase } from "./reading-phase";
import { References } from "./reference-tab";
import { ReadTab } from "./report-tab";
import { Results } from "./results-tab";
import { Facts } from "./study-facts";
import type { Desk, Tab } from "./study-store";
import { type TabOf, Tabs } from "./tabs";

export function Panel({ desk }: { desk: Desk }) {
  const phase = desk.phase.value;
  const mark = (typed: boolean) => (typed ? t("read.unsent") : undefined);
  useEffect(
    () =>
      desk.tab.subscribe((tab) => {
        if (tab !== "model") desk.open.brush.value = null; // nobody paints for a question that is out of sight
      }),
    [desk],
  );
  const tabs: TabOf<Tab>[] = [
    {
      name: "read",
      title: t(mayShow(phase) ? "panel.tab-report" : "panel.tab-read"),
      mark: mark(desk.dirty.value),
      content: () => <ReadTab desk={desk} />,
    },
    { name: "model", title: t("panel.tab-model"), content: () => <Results desk={desk} /> },
    {
      name: "reference",
      title: t("panel.tab-reference"),
      mark: mark(desk.referring.value),
      content: () => <References desk={desk} />,
    },
    { name: "study", title: t("panel.tab-study"), content: () => <Facts desk={desk} /> },
  ];
  return (
    <>
      <Steps desk={desk} />
      {desk.problem.value !== null && <ProblemNote error={desk.problem.value} again={() => void desk.look()} />}
      <Tabs tabs={tabs} chosen={desk.tab} label={t("panel.panel")} />
    </>
  );
}

/** Where the reader stands: own read, answers, report. */
function Steps({ desk }: { desk: Desk }) {
  const phase: Phase = desk.phase.value;
  if (phase === "choice") return null;
  const unaided = phase === "unaided" || lockedUnaided(desk.reads.value, me.value?.id ?? "");
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
