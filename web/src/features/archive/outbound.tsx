// Where results go by which rules, what waits for an archive, and what failed.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge, type Tone } from "../../components/badge";
import { ProblemNote } from "../../components/problem";
import { Said } from "../../components/said";
import { ScrollArea } from "../../components/scroll-area";
import { showToast } from "../../components/toast";
import { formatDateTime, formatNumber, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { useLoaded } from "./loaded";
import { Unsent } from "./unsent";

type Destination = components["schemas"]["DestinationOut"];
type Item = components["schemas"]["OutboundItemOut"];
type State = Item["state"];

const STATES: State[] = ["queued", "sending", "sent", "committed", "dead", "withdrawn"];
const TONES: Partial<Record<State, Tone>> = { dead: "bad", queued: "busy", sending: "busy", committed: "good" };

export function Outbound() {
  const routes = useLoaded(() => body(api.GET("/api/archive/destinations")));
  const known = routes.value.value;
  const queued = useSignal(0);
  return (
    <section aria-labelledby="archive-outbound" class="sheet">
      <h2 id="archive-outbound">{t("archive.outbound")}</h2>
      {routes.problem.value !== null && <ProblemNote error={routes.problem.value} onRetry={() => void routes.load()} />}
      {known && !known.sends && <p>{t("archive.sends-nowhere")}</p>}
      {known?.sends && (
        <>
          <DestinationTable destinations={known.destinations} />
          <Unsent
            onQueued={async () => {
              queued.value += 1;
              await routes.load();
            }}
          />
          <Queue onSent={routes.load} key={queued.value} />
        </>
      )}
    </section>
  );
}

function DestinationTable({ destinations }: { destinations: Destination[] }) {
  return (
    <ScrollArea label={t("archive.destinations")}>
      <table class="small">
        <caption>{t("archive.destinations")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("archive.destination")}</th>
            <th scope="col">{t("archive.address")}</th>
            <th scope="col">{t("archive.use")}</th>
            {STATES.map((state) => (
              <th key={state} scope="col">
                {t(`archive.state.${state}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {destinations.map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              <td data-label={t("archive.address")}>
                {one.title} <span class="mono soft">{`${one.host}:${one.port}`}</span>{" "}
                {!one.encrypted && <Badge tone="warn">{t("archive.in-the-clear")}</Badge>}
              </td>
              <td data-label={t("archive.use")}>
                {t(`archive.use.${one.kind}`)}
                {one.kind === "clinical" && (
                  <span class="soft"> {`${one.legal_basis}; ${one.approver}, ${one.date ?? "–"}`}</span>
                )}
              </td>
              {STATES.map((state) => (
                <td key={state} class="number" data-label={t(`archive.state.${state}`)}>
                  {formatNumber(one.counts[state] ?? 0, 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}

function Queue({ onSent }: { onSent: () => Promise<void> }) {
  const state = useSignal<State | "">("");
  const ask = () =>
    body(api.GET("/api/archive/queue", { params: { query: state.value ? { state: state.value } : {} } }));
  const { value, problem, load } = useLoaded(ask, state.value);
  const failure = useSignal<unknown>(null);
  const sendAgain = async (item: string) => {
    failure.value = null;
    try {
      await body(api.POST("/api/archive/queue/{item}/retry", { params: { path: { item } } }));
      showToast(t("archive.queued-again"));
      await Promise.all([load(), onSent()]);
    } catch (error) {
      failure.value = error;
    }
  };
  return (
    <>
      <h3>{t("archive.queue")}</h3>
      <label class="field archive-state">
        <span>{t("archive.show-state")}</span>
        <select
          value={state.value}
          onChange={(event) => {
            state.value = event.currentTarget.value as State | "";
          }}
        >
          <option value="">{t("archive.all-states")}</option>
          {STATES.map((one) => (
            <option key={one} value={one}>
              {t(`archive.state.${one}`)}
            </option>
          ))}
        </select>
      </label>
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void load()} />}
      {failure.value !== null && <ProblemNote error={failure.value} />}
      {value.value?.length === 0 && <p>{t("archive.queue-none")}</p>}
      {value.value && value.value.length > 0 && <QueueTable items={value.value} sendAgain={sendAgain} />}
    </>
  );
}

function QueueTable({ items, sendAgain }: { items: Item[]; sendAgain: (item: string) => Promise<void> }) {
  return (
    <ScrollArea label={t("archive.queue")}>
      <table class="small">
        <thead>
          <tr>
            <th scope="col">{t("archive.at")}</th>
            <th scope="col">{t("archive.what")}</th>
            <th scope="col">{t("archive.destination")}</th>
            <th scope="col">{t("archive.outcome")}</th>
            <th scope="col">{t("archive.study")}</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {items.map((one) => (
            <tr key={one.id}>
              <td data-label={t("archive.at")}>{formatDateTime(one.queued)}</td>
              <td data-label={t("archive.what")}>{translateTerm("archive.result", one.kind)}</td>
              <td data-label={t("archive.destination")}>
                {one.destination} <span class="soft">{one.rule}</span>
              </td>
              <td data-label={t("archive.outcome")}>
                <Badge tone={TONES[one.state] ?? "plain"}>{t(`archive.state.${one.state}`)}</Badge>{" "}
                {one.attempts > 0 && t("archive.attempts", { count: one.attempts })}
                {one.next_attempt && <> {t("archive.next", { at: formatDateTime(one.next_attempt) })}</>}
                {one.last_error && (
                  <span class="archive-error">
                    <Said by="archive" text={one.last_error} />
                  </span>
                )}
              </td>
              <td data-label={t("archive.study")}>
                <a href={href.study(one.study)}>{t("archive.open-study")}</a>
              </td>
              <td>
                {one.state === "dead" && (
                  <button type="button" onClick={() => void sendAgain(one.id)}>
                    {t("archive.send-again")}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}
