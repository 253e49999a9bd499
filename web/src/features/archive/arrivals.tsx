// What came from peers, newest first, and what was refused.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge } from "../../components/badge";
import { ProblemNote } from "../../components/problem";
import { ScrollArea } from "../../components/scroll-area";
import { formatDateTime, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { senderName } from "./sender";

type Arrival = components["schemas"]["ArrivalOut"];
const PAGE = 50;

export function Arrivals() {
  const rows = useSignal<Arrival[]>([]);
  const complete = useSignal(false);
  const loaded = useSignal(false);
  const refused = useSignal(false);
  const problem = useSignal<unknown>(null);
  const fetchPage = async (before: number | null) => {
    problem.value = null;
    try {
      const query = { limit: PAGE, refused: refused.value, ...(before === null ? {} : { before }) };
      const page = await body(api.GET("/api/archive/arrivals", { params: { query } }));
      rows.value = before === null ? page : [...rows.value, ...page];
      complete.value = page.length < PAGE;
      loaded.value = true;
    } catch (error) {
      problem.value = error;
    }
  };
  useEffect(() => void fetchPage(null), [refused.value]);
  return (
    <section aria-labelledby="archive-arrivals" class="sheet">
      <h2 id="archive-arrivals">{t("archive.arrivals")}</h2>
      <p class="soft">{t("archive.arrivals-what")}</p>
      <label class="check">
        <input
          type="checkbox"
          checked={refused.value}
          onChange={(event) => {
            refused.value = event.currentTarget.checked;
          }}
        />
        {t("archive.only-refused")}
      </label>
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void fetchPage(null)} />}
      {loaded.value && rows.value.length === 0 && <p>{t("archive.arrivals-none")}</p>}
      {rows.value.length > 0 && <ArrivalTable rows={rows.value} />}
      {loaded.value && !complete.value && (
        <button type="button" onClick={() => void fetchPage(rows.value.at(-1)?.id ?? null)}>
          {t("archive.more")}
        </button>
      )}
    </section>
  );
}

function ArrivalTable({ rows }: { rows: Arrival[] }) {
  return (
    <ScrollArea label={t("archive.arrivals")}>
      <table class="small">
        <thead>
          <tr>
            <th scope="col">{t("archive.at")}</th>
            <th scope="col">{t("archive.sender")}</th>
            <th scope="col">{t("archive.what")}</th>
            <th scope="col">{t("archive.outcome")}</th>
            <th scope="col">{t("archive.study")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td data-label={t("archive.at")}>{formatDateTime(row.at)}</td>
              <td data-label={t("archive.sender")}>
                {senderName(row.sender)} <span class="mono soft">{row.address}</span>
              </td>
              <td data-label={t("archive.what")}>
                {t(`archive.kind.${row.kind}`)} <span class="soft">{row.way}</span>
              </td>
              <td data-label={t("archive.outcome")}>
                <Badge tone={row.status < 400 ? "plain" : "bad"}>{outcome(row.status)}</Badge>
                {row.reason && <Reason status={row.reason} />}
                {row.sop_class && <RefusedObject row={row} />}
              </td>
              <td data-label={t("archive.study")}>
                {row.study ? <a href={href.study(row.study)}>{t("archive.open-study")}</a> : "–"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}

/** Why an object was refused: the status that its sender got, and what that means. */
function Reason({ status }: { status: string }) {
  return (
    <span class="archive-error">
      <span class="mono">{status}</span> {translateTerm("archive.reason", status)}
    </span>
  );
}

/** Which object was refused, as its sender calls it. */
function RefusedObject({ row }: { row: Arrival }) {
  return (
    <span class="archive-error">
      <span lang="en">{row.sop_class_name || t("archive.unknown-class")}</span>{" "}
      <span class="mono">{row.sop_class_name ? row.sop_uid : row.sop_class}</span>
    </span>
  );
}

function outcome(status: number): string {
  if (status < 400) return t("archive.taken");
  return t(status < 500 ? "archive.refused" : "archive.failed");
}
