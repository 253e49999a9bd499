// Which earlier studies are fetched from an archive for comparison, and what became of each search and fetch.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge, type Tone } from "../../components/badge";
import { ProblemNote } from "../../components/problem";
import { ScrollArea } from "../../components/scroll-area";
import { showToast } from "../../components/toast";
import { formatDateTime, formatNumber, t, translateTerm } from "../../i18n";
import { translateSaid } from "../../i18n/said";
import { href } from "../../router";
import { useLoaded } from "./loaded";

type Rule = components["schemas"]["PriorRuleOut"];
type Fetch = components["schemas"]["PriorFetchOut"];
type State = Fetch["state"];

const STATES: State[] = ["queued", "running", "done", "failed"];
const TONES: Record<State, Tone> = { queued: "busy", running: "busy", done: "good", failed: "bad" };

export function EarlierStudies() {
  const priors = useLoaded(() => body(api.GET("/api/archive/priors")));
  const known = priors.value.value;
  return (
    <section aria-labelledby="archive-earlier" class="sheet">
      <h2 id="archive-earlier">{t("archive.earlier")}</h2>
      {priors.problem.value !== null && <ProblemNote error={priors.problem.value} onRetry={() => void priors.load()} />}
      {known && !known.rule && <p>{t("archive.earlier-none")}</p>}
      {known?.rule && (
        <>
          <RuleFacts rule={known.rule} />
          <p>
            {STATES.map((state) => (
              <span key={state} class="archive-count">
                <Badge tone={TONES[state]}>{t(`archive.earlier.${state}`)}</Badge>{" "}
                {formatNumber(known.counts[state] ?? 0, 0)}
              </span>
            ))}
          </p>
          <Fetches onRetried={priors.load} />
        </>
      )}
    </section>
  );
}

function RuleFacts({ rule }: { rule: Rule }) {
  const what = t("archive.earlier-what", {
    studies: rule.studies,
    years: formatNumber(rule.years, Number.isInteger(rule.years) ? 0 : 1),
    modalities: rule.modalities.join(", "),
    parts:
      rule.body_parts.map((part) => translateTerm("archive.part", part)).join(", ") || t("archive.earlier-any-part"),
  });
  return (
    <p>
      {rule.title} <span class="mono soft">{`${rule.host}:${rule.port}`}</span>{" "}
      {!rule.encrypted && <Badge tone="warn">{t("archive.in-the-clear")}</Badge>} {what}
    </p>
  );
}

function Fetches({ onRetried }: { onRetried: () => Promise<void> }) {
  const { value, problem, load } = useLoaded(() =>
    body(api.GET("/api/archive/priors/queue", { params: { query: { limit: 50 } } })),
  );
  const failure = useSignal<unknown>(null);
  const retry = async (item: string) => {
    failure.value = null;
    try {
      await body(api.POST("/api/archive/priors/{item}/retry", { params: { path: { item } } }));
      showToast(t("archive.queued-again"));
      await Promise.all([load(), onRetried()]);
    } catch (error) {
      failure.value = error;
    }
  };
  return (
    <>
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void load()} />}
      {failure.value !== null && <ProblemNote error={failure.value} />}
      {value.value?.length === 0 && <p>{t("archive.arrivals-none")}</p>}
      {value.value && value.value.length > 0 && <FetchTable rows={value.value} retry={retry} />}
    </>
  );
}

function FetchTable({ rows, retry }: { rows: Fetch[]; retry: (item: string) => Promise<void> }) {
  return (
    <ScrollArea label={t("archive.earlier")}>
      <table class="small">
        <thead>
          <tr>
            <th scope="col">{t("archive.at")}</th>
            <th scope="col">{t("archive.what")}</th>
            <th scope="col">{t("archive.outcome")}</th>
            <th scope="col">{t("archive.study")}</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {rows.map((one) => (
            <tr key={one.id}>
              <td data-label={t("archive.at")}>{formatDateTime(one.queued)}</td>
              <td data-label={t("archive.what")}>{t(`archive.earlier.${one.what}`)}</td>
              <td data-label={t("archive.outcome")}>
                <Badge tone={TONES[one.state]}>{t(`archive.earlier.${one.state}`)}</Badge> {describeCounts(one)}{" "}
                {one.state !== "done" && one.attempts > 0 && t("archive.attempts", { count: one.attempts })}
                {one.next_attempt && <> {t("archive.next", { at: formatDateTime(one.next_attempt) })}</>}
                {one.last_error && (
                  <span class="archive-error">
                    {t("archive.earlier-archive", { says: translateSaid("archive", one.last_error) ?? one.last_error })}
                  </span>
                )}
              </td>
              <td data-label={t("archive.study")}>
                <a href={href.study(one.study)}>{t("archive.open-study")}</a>
              </td>
              <td>
                {one.state === "failed" && (
                  <button type="button" onClick={() => void retry(one.id)}>
                    {t("archive.earlier-retry")}
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

function describeCounts(one: Fetch): string {
  if (one.state !== "done") return one.dropped > 0 ? t("archive.earlier-dropped", { n: one.dropped }) : "";
  const counts =
    one.what === "search"
      ? t("archive.earlier-found", { found: one.found, taken: one.taken })
      : t("archive.earlier-images", { n: one.taken });
  return one.dropped > 0 ? `${counts}, ${t("archive.earlier-dropped", { n: one.dropped })}` : counts;
}
