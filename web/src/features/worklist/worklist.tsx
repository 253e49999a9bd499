// The worklist: the received studies, newest first, with their progress. It shows no results: the reader reads first.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { defaultModels, loadDefaultModels, modelName } from "../../api/models";
import type { Study } from "../../api/types";
import { isTyping } from "../../components/focus";
import { Icon } from "../../components/icons";
import { ProblemNote } from "../../components/problem";
import { formatNumber, type Key, t } from "../../i18n";
import { href } from "../../router";
import { EraseStudies } from "./erase-studies";
import { FileInput, openFileDialog, openFolderDialog } from "./file-input";
import { Filters, hasFilter } from "./filters";
import { loadOwnLabels } from "./own-labels";
import { examDate, fetchNames, namesShown, studyName } from "./patient-names";
import { SelectionBar } from "./selection";
import {
  type Column,
  filter,
  filterHash,
  filterQuery,
  followChanges,
  loading,
  loadMore,
  NO_FILTER,
  next,
  order,
  parseFilter,
  problem,
  reload,
  sortBy,
  sortStudies,
  studies,
  total,
} from "./study-list";
import { StudyRow } from "./study-row";
import { UploadModels, UploadTray } from "./upload-tray";
import "./worklist.css";

/** Rows that are laid out, and left out of sight, together. */
const CHUNK = 50;
/** The server counts no further. */
const COUNT_LIMIT = 10_000;

export function Worklist() {
  const toErase = useSignal<Study[]>([]);
  useEffect(() => {
    const address = () => {
      filter.value = parseFilter(location.hash);
      void reload();
    };
    address();
    addEventListener("hashchange", address);
    const stop = followChanges();
    void loadDefaultModels().catch(() => {}); // the model picker shows the problem
    void loadOwnLabels().catch(() => {}); // the list shows it
    return () => {
      removeEventListener("hashchange", address);
      stop();
    };
  }, []);
  useEffect(() => {
    if (namesShown.value && studies.value) void fetchNames(studies.value);
  }, [namesShown.value, studies.value]);
  const list = studies.value;
  const end = useEndOfList();
  const sorted = sortStudies(list ?? [], order.value, studyName, examDate);
  return (
    <div class="page work">
      <FileInput />
      <div class="work-head">
        <h1>
          {t("nav.worklist")} <Total />
        </h1>
        <NextUnread />
        <UploadModels />
        <button type="button" class="primary" onClick={openFileDialog}>
          <Icon name="upload" /> {t("work.upload")}
        </button>
        <button type="button" class="work-folder" onClick={openFolderDialog}>
          {t("work.folder")}
        </button>
        {total.value !== null && total.value > 0 && (
          <a
            class="small work-csv"
            href={`/api/results.csv?${resultsQuery()}`}
            download="results.csv"
            title={t("work.csv-note")}
          >
            {t("work.csv")}
          </a>
        )}
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
          <SelectionBar
            listed={list}
            erase={(chosen) => {
              toErase.value = chosen;
            }}
          />
          <Columns />
          <div class="studies" data-exams={namesShown.value}>
            {chunksOf(sorted, CHUNK).map((chunk, place) => (
              // Chunks have no names of their own: a new study moves one row from each chunk to the next.
              <Chunk key={place} studies={chunk} toErase={toErase} />
            ))}
          </div>
        </>
      )}
      {next.value && (
        <p class="work-more" ref={end}>
          <button type="button" disabled={loading.value} onClick={() => void loadMore()}>
            {t("work.more")}
          </button>
        </p>
      )}
      {toErase.value.length > 0 && (
        <EraseStudies
          studies={toErase.value}
          onClose={() => {
            toErase.value = [];
          }}
        />
      )}
    </div>
  );
}

/** Some rows. They are drawn again where one of them has changed, not where another chunk has come. */
function Chunk({ studies, toErase }: { studies: Study[]; toErase: Signal<Study[]> }) {
  return useMemo(
    () => (
      <ul style={{ "--rows": studies.length }}>
        {studies.map((study) => (
          <StudyRow key={study.id} study={study} toErase={toErase} />
        ))}
      </ul>
    ),
    [...studies, toErase],
  );
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size));
}

function resultsQuery(): string {
  return new URLSearchParams(
    Object.entries(filterQuery(filter.value)).map(([name, value]) => [name, String(value)]),
  ).toString();
}

/** Load further studies once the end of the list comes into sight. */
function useEndOfList() {
  const end = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (!end.current) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && void loadMore(), {
      rootMargin: "600px",
    });
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [next.value, studies.value?.length, loading.value]);
  return end;
}

function Total() {
  const [all, loaded] = [total.value, studies.value?.length ?? 0];
  if (all === null) return null;
  const written = all >= COUNT_LIMIT ? `${formatNumber(COUNT_LIMIT, 0)}+` : formatNumber(all, 0);
  const isPartial = next.value !== null && order.value.column !== "received";
  return (
    <span class="soft work-total">
      {isPartial ? t("work.sorted-part", { loaded: formatNumber(loaded, 0), total: written }) : written}
    </span>
  );
}

/** The heads of the columns, which sort the list. */
function Columns() {
  const columns: [Column, Key][] = [
    ["patient", "work.patient"],
    ...(namesShown.value ? ([["exam", "work.exam"]] as [Column, Key][]) : []),
    ["view", "work.exposure"],
    ["received", "work.received"],
    ["read", "work.own"],
  ];
  const { column: sorted, descending } = order.value;
  return (
    <div class="work-columns small" data-exams={namesShown.value} role="toolbar" aria-label={t("work.sort")}>
      <span />
      {columns.map(([column, name]) => (
        <button
          key={column}
          type="button"
          class="bare"
          data-column={column}
          aria-pressed={sorted === column}
          title={t("work.sort-by", { column: t(name) })}
          onClick={() => sortBy(column)}
        >
          {t(name)}
          <span aria-hidden="true">{sorted === column ? (descending ? " ↓" : " ↑") : ""}</span>
        </button>
      ))}
      <span class="soft work-models">{t("work.models")}</span>
    </div>
  );
}

/** A link to the first study of the list that has no final report of one's own; its key is N. */
function NextUnread() {
  const study = studies.value?.find(({ own_read }) => own_read !== "final");
  useEffect(() => {
    if (!study) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "n" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      event.preventDefault();
      location.hash = href.study(study.id);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [study?.id]);
  if (!study) return null;
  return (
    <a class="work-next" href={href.study(study.id)} aria-keyshortcuts="n" title={`${t("work.next-unread")} (n)`}>
      {t("work.next-unread")}
    </a>
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
