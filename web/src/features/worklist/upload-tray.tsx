// What became of each file that was sent, in words; and which models are asked about the next ones.
import { effect, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { habit, models, nameOf } from "../../api/models";
import { Badge, type Tone } from "../../components/badge";
import { Dialog } from "../../components/dialog";
import { ModelPicker } from "../../components/model-picker";
import { Why } from "../../components/problem";
import { say } from "../../components/toast";
import { t } from "../../i18n";
import { href } from "../../router";
import { reload } from "./study-list";
import {
  again,
  arrived,
  busy,
  clear,
  type Fate,
  type Item,
  items,
  share,
  stop,
  waiting,
  whyRefused,
} from "./upload-queue";

/** Which models are asked about what is uploaded, and how to change it. */
export function Asked() {
  const open = useSignal(false);
  if (models.value === null) return null;
  return (
    <span class="asked">
      <span class="soft small">
        {habit.value.length > 0 ? t("work.asks", { models: habit.value.map(nameOf).join(", ") }) : t("work.asks-none")}
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
          <ModelPicker chosen={habit} legend={t("work.pick-legend")} />
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

const warn = (event: BeforeUnloadEvent) => event.preventDefault();
let before = false;
// Whatever page is open: leaving the app would cut uploads off, and their end is said.
effect(() => {
  const now = busy.value;
  if (now) addEventListener("beforeunload", warn);
  else globalThis.removeEventListener?.("beforeunload", warn);
  if (before && !now && items.peek().length > 0) say(summary(items.peek()), items.peek().some(isBad));
  before = now;
});

/** The uploads, while there are any. */
export function Tray() {
  const list = items.value;
  const seen = useRef(arrived.value);
  useEffect(() => {
    if (arrived.value !== seen.current) void reload();
    seen.current = arrived.value;
  }, [arrived.value]);
  if (list.length === 0) return null;
  const failed = list.some(({ fate }) => fate === "failed");
  return (
    <section class="tray sheet" aria-labelledby="tray-head">
      <div class="tray-head">
        <h2 id="tray-head">{busy.value ? t("work.up.sending") : summary(list)}</h2>
        {failed && !busy.value && (
          <button type="button" onClick={again}>
            {t("work.up.again")}
          </button>
        )}
        {busy.value ? (
          <button type="button" onClick={stop}>
            {t("work.up.stop")}
          </button>
        ) : (
          <button type="button" onClick={clear}>
            {t("work.up.clear")}
          </button>
        )}
      </div>
      {share.value !== null && <Progress />}
      <ul class="tray-list">
        {[...list.filter(isBad), ...list.filter((item) => !isBad(item))].map((item) => (
          <Line key={item.number} item={item} />
        ))}
      </ul>
    </section>
  );
}

function Progress() {
  const part = share.value ?? 0;
  const until = waiting.value;
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
  const words =
    until !== null ? t("work.up.full-wait", { seconds: seconds.value }) : part < 1 ? "" : t("work.up.reading");
  return (
    <div class="tray-progress">
      {/* without a value it moves by itself: everything has gone out, and the server reads it */}
      <progress aria-label={t("work.up.sending")} max={1} {...(part < 1 && until === null ? { value: part } : {})} />
      <span class="small soft" role="status">
        {words}
      </span>
    </div>
  );
}

const TONES: Record<Fate, Tone> = {
  waiting: "plain",
  sending: "busy",
  accepted: "good",
  duplicate: "plain",
  refused: "bad",
  failed: "bad",
  several: "good",
};

function Line({ item }: { item: Item }) {
  const counts = countOf(item.members.map(({ status }) => status));
  return (
    <li>
      <span class="tray-name">{item.name}</span>
      <Badge tone={item.members.some(({ status }) => status === "refused") ? "warn" : TONES[item.fate]}>
        {item.fate === "several" ? words(counts) : t(`work.up.${item.fate}`)}
      </Badge>
      {item.study && (
        <a class="small" href={href.study(item.study)} aria-label={t("work.up.open-of", { name: item.name })}>
          {t("work.up.open")}
        </a>
      )}
      {item.problem && (
        <span class="tray-why small">
          <Why why={item.problem} />
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
                  {t("work.up.member", { number: member.file.replace(/^.*member /, "") })}{" "}
                  <Why why={whyRefused(member)} />
                </li>
              ))}
          </ul>
        </details>
      )}
    </li>
  );
}

function isBad({ fate, members }: Item): boolean {
  return fate === "refused" || fate === "failed" || members.some(({ status }) => status === "refused");
}

/** Say what became of all files: "5 stored, 1 here already, 2 refused". */
function summary(list: Item[]): string {
  return words(
    countOf(list.flatMap(({ fate, members }) => (fate === "several" ? members.map((m) => m.status) : [fate]))),
  );
}

function countOf(fates: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const fate of fates) counts[fate] = (counts[fate] ?? 0) + 1;
  return counts;
}

function words(counts: Record<string, number>): string {
  return (["accepted", "duplicate", "refused", "failed"] as const)
    .filter((fate) => counts[fate])
    .map((fate) => t(`work.up.count.${fate}`, { count: counts[fate] ?? 0 }))
    .join(", ");
}
