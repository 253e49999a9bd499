// The list of uploads with their outcomes, and the choice of the models that uploads ask.
import { effect, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { defaultModels, modelName, models } from "../../api/models";
import { Badge, type Tone } from "../../components/badge";
import { Dialog } from "../../components/dialog";
import { ModelPicker } from "../../components/model-picker";
import { ProblemText } from "../../components/problem";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";
import { href } from "../../router";
import { reload } from "./study-list";
import {
  busy,
  clearFinished,
  discardUnsent,
  explainRefusal,
  finishedUploads,
  isUnsent,
  items,
  listRun,
  progress,
  retryFailed,
  sentShare,
  stopUploads,
  type UploadItem,
  type UploadOutcome,
  waitingUntil,
} from "./upload-queue";

/** Which models are asked about what is uploaded, and how to change it. */
export function UploadModels() {
  const open = useSignal(false);
  if (models.value === null) return null;
  return (
    <span class="asked">
      <span class="soft small">
        {defaultModels.value.length > 0
          ? t("work.asks", { models: defaultModels.value.map(modelName).join(", ") })
          : t("work.asks-none")}
      </span>{" "}
      <button
        type="button"
        onClick={() => {
          open.value = true;
        }}
      >
        {t("work.change")}
      </button>
      {open.value && (
        <Dialog
          title={t("work.pick")}
          onClose={() => {
            open.value = false;
          }}
        >
          <ModelPicker selected={defaultModels} legend={t("work.pick-legend")} />
          <p class="soft small">{t("work.pick-note")}</p>
          <div class="actions">
            <button
              type="button"
              class="primary"
              onClick={() => {
                open.value = false;
              }}
            >
              {t("work.pick-done")}
            </button>
          </div>
        </Dialog>
      )}
    </span>
  );
}

const preventUnload = (event: BeforeUnloadEvent) => event.preventDefault();
let wasBusy = false;
// On every page: warn before the app is left while a file is not sent, and show a message when uploads end.
effect(() => {
  const isBusy = busy.value;
  if (items.value.some(isUnsent)) addEventListener("beforeunload", preventUnload);
  else globalThis.removeEventListener?.("beforeunload", preventUnload);
  const run = listRun();
  if (wasBusy && !isBusy && run.length > 0) showToast(summarize(run), run.some(hasFailed));
  wasBusy = isBusy;
});

/** The uploads, while there are any. */
export function UploadTray() {
  const list = items.value;
  const lastSeen = useRef(finishedUploads.value);
  useEffect(() => {
    if (finishedUploads.value !== lastSeen.current) void reload();
    lastSeen.current = finishedUploads.value;
  }, [finishedUploads.value]);
  if (list.length === 0) return null;
  const failed = list.filter(({ outcome }) => outcome === "failed").length;
  const finished = list.some((item) => !isUnsent(item));
  return (
    <section class="tray sheet" aria-labelledby="tray-head">
      <div class="tray-head">
        <h2 id="tray-head">{busy.value ? t("work.up.progress", progress.value) : summarize(list)}</h2>
        {failed > 0 && !busy.value && (
          <>
            <button type="button" class="primary" onClick={retryFailed}>
              {t("work.up.again")}
            </button>
            <button type="button" onClick={discardUnsent}>
              {t("work.up.discard", { count: failed })}
            </button>
          </>
        )}
        {busy.value ? (
          <button type="button" onClick={stopUploads}>
            {t("work.up.stop")}
          </button>
        ) : (
          finished && (
            <button type="button" onClick={clearFinished}>
              {t("work.up.clear")}
            </button>
          )
        )}
      </div>
      {sentShare.value !== null && <Progress />}
      <ul class="tray-list">
        {[...list.filter(hasFailed), ...list.filter((item) => !hasFailed(item))].map((item) => (
          <UploadRow key={item.number} item={item} />
        ))}
      </ul>
    </section>
  );
}

function Progress() {
  const sent = sentShare.value ?? 0;
  const until = waitingUntil.value;
  const seconds = useSignal(0);
  useEffect(() => {
    if (until === null) return;
    const count = () => {
      seconds.value = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    };
    count();
    const clock = setInterval(count, 1000);
    return () => clearInterval(clock);
  }, [until, seconds]);
  const waitText =
    until !== null ? t("work.up.full-wait", { seconds: seconds.value }) : sent < 1 ? "" : t("work.up.reading");
  return (
    <div class="tray-progress">
      {/* without a value the bar is indeterminate: all bytes are sent and the server reads them */}
      <progress aria-label={t("work.up.sending")} max={1} {...(sent < 1 && until === null ? { value: sent } : {})} />
      <span class="small soft" role="status">
        {waitText}
      </span>
    </div>
  );
}

const TONES: Record<UploadOutcome, Tone> = {
  waiting: "plain",
  sending: "busy",
  accepted: "good",
  duplicate: "plain",
  refused: "bad",
  failed: "bad",
  several: "good",
};

function UploadRow({ item }: { item: UploadItem }) {
  const counts = countOutcomes(item.members.map(({ status }) => status));
  return (
    <li>
      <span class="tray-name">{item.name}</span>
      <Badge tone={item.members.some(({ status }) => status === "refused") ? "warn" : TONES[item.outcome]}>
        {item.outcome === "several" ? describeCounts(counts) : t(`work.up.${item.outcome}`)}
      </Badge>
      {item.study && (
        <a class="small" href={href.study(item.study)} aria-label={t("work.up.open-of", { name: item.name })}>
          {t("work.up.open")}
        </a>
      )}
      {item.problem && (
        <span class="tray-why small">
          <ProblemText refusal={item.problem} />
        </span>
      )}
      {item.members.some(({ status }) => status === "refused") && (
        <details class="tray-why small">
          <summary>{t("work.up.refused-ones")}</summary>
          <ul>
            {item.members
              .filter(({ status }) => status === "refused")
              .map((member) => (
                <li key={member.file}>
                  {nameMember(item, member.file)} <ProblemText refusal={explainRefusal(member)} />
                </li>
              ))}
          </ul>
        </details>
      )}
    </li>
  );
}

/** Return the name of a file in an archive, else its number: "file 2, member 7" is the seventh. */
function nameMember(item: UploadItem, file: string): string {
  const number = file.replace(/^.*member /, "");
  const name = item.memberNames?.[Number(number) - 1];
  return name === undefined ? t("work.up.member", { number }) : `${name}:`;
}

function hasFailed({ outcome, members }: UploadItem): boolean {
  return outcome === "refused" || outcome === "failed" || members.some(({ status }) => status === "refused");
}

/** Summarize the outcomes of all files: "5 stored, 1 already here, 2 refused". */
function summarize(list: UploadItem[]): string {
  return describeCounts(
    countOutcomes(
      list.flatMap(({ outcome, members }) => (outcome === "several" ? members.map((m) => m.status) : [outcome])),
    ),
  );
}

function countOutcomes(outcomes: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

function describeCounts(counts: Record<string, number>): string {
  return (["accepted", "duplicate", "refused", "failed"] as const)
    .filter((outcome) => counts[outcome])
    .map((outcome) => t(`work.up.count.${outcome}`, { count: counts[outcome] ?? 0 }))
    .join(", ");
}
