// The worklist: the received studies, newest first, with their progress. It shows no results: the reader reads first.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { me } from "../../api/client";
import { defaultModels, loadDefaultModels, modelName } from "../../api/models";
import type { Study } from "../../api/types";
import { Icon } from "../../components/icons";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { EraseStudy } from "./erase-study";
import { FileInput, openFileDialog } from "./file-input";
import { Filters, hasFilter } from "./filters";
import { fetchNames, namesShown } from "./patient-names";
import {
  filter,
  filterHash,
  followChanges,
  loading,
  loadMore,
  NO_FILTER,
  next,
  parseFilter,
  problem,
  reload,
  studies,
} from "./study-list";
import { StudyRow } from "./study-row";
import { UploadModels, UploadTray } from "./upload-tray";
import "./worklist.css";

export function Worklist() {
  const studyToErase = useSignal<Study | null>(null);
  useEffect(() => {
    const address = () => {
      filter.value = parseFilter(location.hash);
      void reload();
    };
    address();
    addEventListener("hashchange", address);
    const stop = followChanges();
    void loadDefaultModels().catch(() => {}); // the model picker shows the problem
    return () => {
      removeEventListener("hashchange", address);
      stop();
    };
  }, []);
  useEffect(() => {
    if (namesShown.value && studies.value) void fetchNames(studies.value);
  }, [namesShown.value, studies.value]);
  const list = studies.value;
  return (
    <div class="page work">
      <FileInput />
      <div class="work-head">
        <h1>{t("nav.worklist")}</h1>
        <UploadModels />
        <button type="button" class="primary" onClick={openFileDialog}>
          <Icon name="upload" /> {t("work.upload")}
        </button>
      </div>
      <UploadTray />
      {(list === null || list.length > 0 || hasFilter(filter.value)) && (
        <Filters
          change={(filters) => {
            history.replaceState(null, "", filterHash(filters));
            filter.value = filters;
            void reload();
          }}
        />
      )}
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void reload()} />}
      <p class="hidden" role="status">
        {list && !loading.value ? t("work.count", { count: list.length }) : ""}
      </p>
      {list === null && problem.value === null && <p class="soft">{t("app.loading")}</p>}
      {list?.length === 0 && (hasFilter(filter.value) ? <NoMatches /> : <EmptyWorklist />)}
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
                        studyToErase.value = study;
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
          <button type="button" disabled={loading.value} onClick={() => void loadMore()}>
            {t("work.more")}
          </button>
        </p>
      )}
      {studyToErase.value && (
        <EraseStudy
          study={studyToErase.value}
          onClose={() => {
            studyToErase.value = null;
          }}
        />
      )}
    </div>
  );
}

function NoMatches() {
  return (
    <div class="empty">
      <p>{t("work.no-match")}</p>
      <button
        type="button"
        onClick={() => {
          location.hash = filterHash(NO_FILTER);
        }}
      >
        {t("work.clear")}
      </button>
    </div>
  );
}

function EmptyWorklist() {
  const modelNames = defaultModels.value.map(modelName).join(", ");
  return (
    <div class="empty">
      <Icon name="image" />
      <h2>{t("work.empty")}</h2>
      <p>{t("work.empty-how")}</p>
      <p class="soft small">{modelNames ? t("work.empty-asked", { models: modelNames }) : t("work.asks-none")}</p>
      <button type="button" class="primary" onClick={openFileDialog}>
        <Icon name="upload" /> {t("work.choose")}
      </button>
      <p class="soft small">{t("work.formats")}</p>
    </div>
  );
}
