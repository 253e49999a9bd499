// The worklist: what came in, newest first, and how far each study is. Never a result: the reader comes first.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { me } from "../../api/client";
import { habit, loadHabit, nameOf } from "../../api/models";
import type { Study } from "../../api/types";
import { Icon } from "../../components/icons";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { EraseStudy } from "./erase-study";
import { choose, Intake } from "./file-input";
import { Filters, isFiltered } from "./filters";
import { fetchNames, shown } from "./patient-names";
import { filter, filterIn, follow, hashOf, loading, more, NONE, next, problem, reload, studies } from "./study-list";
import { StudyRow } from "./study-row";
import { Asked, Tray } from "./upload-tray";
import "./worklist.css";

export function Worklist() {
  const erasing = useSignal<Study | null>(null);
  useEffect(() => {
    const address = () => {
      filter.value = filterIn(location.hash);
      void reload();
    };
    address();
    addEventListener("hashchange", address);
    const stop = follow();
    void loadHabit().catch(() => {}); // the picker says what went wrong
    return () => {
      removeEventListener("hashchange", address);
      stop();
    };
  }, []);
  useEffect(() => {
    if (shown.value && studies.value) void fetchNames(studies.value);
  }, [shown.value, studies.value]);
  const list = studies.value;
  return (
    <div class="page work">
      <Intake />
      <div class="work-head">
        <h1>{t("nav.worklist")}</h1>
        <Asked />
        <button type="button" class="primary" onClick={choose}>
          <Icon name="upload" /> {t("work.upload")}
        </button>
      </div>
      <Tray />
      {(list === null || list.length > 0 || isFiltered(filter.value)) && (
        <Filters
          change={(wanted) => {
            history.replaceState(null, "", hashOf(wanted));
            filter.value = wanted;
            void reload();
          }}
        />
      )}
      {problem.value !== null && <ProblemNote error={problem.value} again={() => void reload()} />}
      <p class="hidden" role="status">
        {list && !loading.value ? t("work.count", { count: list.length }) : ""}
      </p>
      {list === null && problem.value === null && <p class="soft">{t("app.loading")}</p>}
      {list?.length === 0 && (isFiltered(filter.value) ? <NoMatch /> : <Empty />)}
      {list && list.length > 0 && (
        <>
          <div class="work-columns soft small" aria-hidden="true">
            <span />
            <span>{t("work.patient")}</span>
            <span>{t("work.exposure")}</span>
            <span>{t("work.models")}</span>
            <span>{t("work.own")}</span>
          </div>
          <ul class="studies">
            {list.map((study) => (
              <StudyRow
                key={study.id}
                study={study}
                erase={
                  me.value?.role === "admin"
                    ? () => {
                        erasing.value = study;
                      }
                    : null
                }
              />
            ))}
          </ul>
        </>
      )}
      {next.value && (
        <p class="work-more">
          <button type="button" disabled={loading.value} onClick={() => void more()}>
            {t("work.more")}
          </button>
        </p>
      )}
      {erasing.value && (
        <EraseStudy
          study={erasing.value}
          onClose={() => {
            erasing.value = null;
          }}
        />
      )}
    </div>
  );
}

function NoMatch() {
  return (
    <div class="empty">
      <p>{t("work.no-match")}</p>
      <button
        type="button"
        onClick={() => {
          location.hash = hashOf(NONE);
        }}
      >
        {t("work.clear")}
      </button>
    </div>
  );
}

function Empty() {
  const asked = habit.value.map(nameOf).join(", ");
  return (
    <div class="empty">
      <Icon name="image" />
      <h2>{t("work.empty")}</h2>
      <p>{t("work.empty-how")}</p>
      <p class="soft small">{asked ? t("work.empty-asked", { models: asked }) : t("work.asks-none")}</p>
      <button type="button" class="primary" onClick={choose}>
        <Icon name="upload" /> {t("work.choose")}
      </button>
      <p class="soft small">{t("work.formats")}</p>
    </div>
  );
}
