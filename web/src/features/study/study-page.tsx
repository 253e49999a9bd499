// An open study: the image in the middle, the panel with reads and answers beside it (beneath it on a phone).
import { useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { useTitle } from "../../components/page-title";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { href } from "../../router";
import "./study.css";
import { useLeaving } from "./leave-warning";
import { Neighbours } from "./neighbouring-studies";
import { Panel } from "./study-panel";
import { type Desk, openDesk } from "./study-store";

/** Loaded when a study is opened, so that the worklist stays light. */
const Viewer = lazy(() => import("../viewer/viewer"));

export default function StudyPage({ id }: { id: string }) {
  const desk = useSignal<Desk | null>(null);
  const problem = useSignal<unknown>(null);
  const tries = useSignal(0);
  useTitle(t("panel.title", { id: short(id) }));
  useEffect(() => {
    let left = false;
    let opened: Desk | null = null;
    problem.value = null;
    openDesk(id).then(
      (made) => {
        opened = made;
        if (left) made.close();
        else desk.value = made;
      },
      (error: unknown) => {
        problem.value = error;
      },
    );
    return () => {
      left = true;
      opened?.close();
    };
  }, [id, tries.value]);
  if (problem.value !== null)
    return (
      <>
        <h1>{t("panel.title", { id: short(id) })}</h1>
        <ProblemNote error={problem.value} again={() => tries.value++} />
        <p>
          <a href={href.worklist()}>{t("panel.back")}</a>
        </p>
      </>
    );
  if (desk.value === null) return <p class="soft">{t("app.loading")}</p>;
  return <Study desk={desk.value} />;
}

function Study({ desk }: { desk: Desk }) {
  const leaving = useLeaving(desk.unsaved);
  if (desk.gone.value)
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
          {t("panel.study")} <span class="mono">{short(desk.id)}</span>
        </h1>
        <Neighbours id={desk.id} />
      </div>
      <section class="reading-image" aria-label={t("panel.image")}>
        <Suspense fallback={<p class="soft">{t("app.loading")}</p>}>
          <Viewer open={desk.open} />
        </Suspense>
      </section>
      <section class="reading-panel" aria-label={t("panel.panel")}>
        <Panel desk={desk} />
      </section>
      {leaving}
    </div>
  );
}

const short = (id: string) => id.slice(0, 8);
