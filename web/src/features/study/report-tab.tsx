// The reader's own report: first unaided, then with the answers. A final report can only have addenda.
import { useSignal } from "@preact/signals";
import { about, me } from "../../api/client";
import { modelName } from "../../api/models";
import { ConfirmDialog } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";
import { decisionText } from "./decision-text";
import { useCommand } from "./open-study";
import { isUsable, splitAnswers } from "./predictions";
import { listReadLabels, ReadForm } from "./read-form";
import { ReadVersions } from "./read-versions";
import { ReadingOrder } from "./reading-order";
import { mayShowAnswers } from "./reading-phase";
import { ReportOut } from "./report-out";
import { editRead, type StudyStore } from "./study-store";
import { focusTab } from "./tabs";
import { addTemplate } from "./templates";

export function ReportTab({ store }: { store: StudyStore }) {
  const phase = store.phase.value;
  const reader = me.value?.id ?? "";
  const own = store.reads.value.filter((read) => read.reader === reader);
  const others = mayShowAnswers(phase) ? store.reads.value.filter((read) => read.reader !== reader) : [];
  return (
    <>
      {phase === "choice" && <ReadingOrder store={store} />}
      {(phase === "unaided" || phase === "aided") && <ReportForm store={store} />}
      {phase === "done" && <Addendum store={store} />}
      <ReportOut store={store} />
      {own.length > 0 && <ReadVersions title={t("read.versions")} reads={own} store={store} />}
      {others.length > 0 && <ReadVersions title={t("read.others")} reads={others} store={store} showReader />}
    </>
  );
}

/** Writes the lengths that were measured on the visible image into the report. */
function MeasurementButton({ store }: { store: StudyStore }) {
  const lengths = store.open.measurements.value;
  if (lengths.length === 0) return null;
  const line = t("read.measured", { lengths: lengths.join("; ") });
  return (
    <p>
      <button type="button" onClick={() => editRead(store, { text: addTemplate(store.form.value.text, line) })}>
        {t("read.insert-lengths", { count: lengths.length })}
      </button>
    </p>
  );
}

function ReportForm({ store }: { store: StudyStore }) {
  const stage = store.stage.value;
  const confirming = useSignal(false);
  const problem = useSignal<unknown>(null);
  const busy = useSignal(false);
  const form = store.form.value;
  const unset = listReadLabels(store).filter((label) => form.likelihoods[label] === undefined).length;
  const save = async (event?: Event) => {
    event?.preventDefault();
    busy.value = true;
    problem.value = null;
    try {
      await store.sendRead("draft");
      showToast(t("read.saved"));
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  };
  const lock = async () => {
    problem.value = null;
    try {
      await store.sendRead("final");
    } catch (error) {
      if (store.stage.value === stage) throw error;
      problem.value = error; // the read has become an aided one, so there is no unaided read to lock
      return;
    }
    showToast(t(`read.locked-${stage}`));
    if (stage === "unaided") store.tab.value = "model";
    focusTab();
  };
  useCommand(store.open, "save", () => {
    if (store.dirty.value && !busy.value) void save();
  });
  useCommand(store.open, "lock", () => {
    store.tab.value = "read";
    if (form.conclusion !== null) confirming.value = true;
    else showToast(t("read.needs"));
  });
  const free = stage === "unaided" && !about.value?.reads_first;
  return (
    <form class="report" onSubmit={save}>
      <h2>{t(`read.title-${stage}`)}</h2>
      <p class="small soft">{t(`read.words-${stage}`)}</p>
      {stage === "aided" && <AnswerSummary store={store} />}
      <MeasurementButton store={store} />
      <ReadForm key={stage} store={store} onChange={(change) => editRead(store, change)} />
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <div class="actions">
        <button type="submit" disabled={busy.value || !store.dirty.value}>
          {t("read.save")}
        </button>
        <button
          type="button"
          class="primary"
          disabled={form.conclusion === null}
          aria-describedby={form.conclusion === null ? "read-needs" : undefined}
          onClick={() => {
            confirming.value = true;
          }}
        >
          {t(`read.lock-${stage}`)}
        </button>
      </div>
      {form.conclusion === null && (
        <p class="small soft" id="read-needs">
          {t("read.needs")}
        </p>
      )}
      {free && <SkipUnaided store={store} />}
      {confirming.value && (
        <ConfirmDialog
          title={t(`read.ask-${stage}`)}
          confirmLabel={t(`read.lock-${stage}`)}
          onConfirm={lock}
          onClose={() => {
            confirming.value = false;
          }}
        >
          <p>{t(`read.ask-words-${stage}`)}</p>
          {unset > 0 && <p class="note">{t("read.unset-left", { n: unset })}</p>}
        </ConfirmDialog>
      )}
    </form>
  );
}

/** In free mode the reader may see the answers without an unaided read, which is then no longer possible. */
function SkipUnaided({ store }: { store: StudyStore }) {
  const confirming = useSignal(false);
  return (
    <p class="small">
      <button
        type="button"
        class="linkish"
        onClick={() => {
          confirming.value = true;
        }}
      >
        {t("read.skip")}
      </button>
      {confirming.value && (
        <ConfirmDialog
          title={t("read.skip-ask")}
          confirmLabel={t("panel.show-answers")}
          onConfirm={async () => {
            store.tab.value = "model";
            await store.showAnswers();
            focusTab();
          }}
          onClose={() => {
            confirming.value = false;
          }}
        >
          <p>{t("panel.choice-words")}</p>
        </ConfirmDialog>
      )}
    </p>
  );
}

/** The models' answers in one line each, beside the report that is written with them. */
function AnswerSummary({ store }: { store: StudyStore }) {
  const { predictions, image } = store.open;
  const { newest } = splitAnswers(predictions.value, image.value?.id);
  const usableAnswers = newest.filter((one) => isUsable(one));
  if (usableAnswers.length === 0) return null;
  return (
    <ul class="plain small shown" aria-label={t("read.answers")}>
      {usableAnswers.map((one) => (
        <li key={one.id}>
          <span class="soft">{modelName(one.model)}:</span> {decisionText(one.result ?? {})}
        </li>
      ))}
    </ul>
  );
}

function Addendum({ store }: { store: StudyStore }) {
  const problem = useSignal<unknown>(null);
  const add = async (event: Event) => {
    event.preventDefault();
    problem.value = null;
    try {
      await store.sendRead("addendum");
      showToast(t("read.added"));
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <form class="report" onSubmit={add}>
      <h2>{t("read.title-done")}</h2>
      <p class="small soft">{t("read.words-done")}</p>
      <label class="field">
        <span>{t("read.addendum")}</span>
        <textarea
          rows={3}
          maxLength={10_000}
          value={store.addendum.value}
          onInput={(event) => {
            store.addendum.value = event.currentTarget.value;
          }}
        />
      </label>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <div class="actions">
        <button type="submit" disabled={store.addendum.value.trim() === ""}>
          {t("read.add")}
        </button>
      </div>
    </form>
  );
}
