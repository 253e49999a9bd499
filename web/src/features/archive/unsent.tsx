// Results that the rules would send and that were never queued: shown first, and queued when that is confirmed.
import { useSignal } from "@preact/signals";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { ConfirmDialog } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { ScrollArea } from "../../components/scroll-area";
import { showToast } from "../../components/toast";
import { formatNumber, t, translateTerm } from "../../i18n";
import { href } from "../../router";
import { type Group, groupUnsent } from "./unsent-groups";

type Part = components["schemas"]["UnsentPartOut"];
type Result = components["schemas"]["UnsentOut"];
/** Studies of one request; the server takes no more. */
const AT_ONCE = 200;
const LINKS = 5;

export function Unsent({ onQueued }: { onQueued: () => Promise<void> }) {
  const results = useSignal<Result[] | null>(null);
  const busy = useSignal(false);
  const asking = useSignal(false);
  const problem = useSignal<unknown>(null);
  const look = async () => {
    problem.value = null;
    busy.value = true;
    try {
      results.value = await findAll();
    } catch (error) {
      problem.value = error;
    }
    busy.value = false;
  };
  const queue = async () => {
    const studies = [...new Set((results.value ?? []).map((one) => one.study))];
    let queued = 0;
    for (let start = 0; start < studies.length; start += AT_ONCE) {
      const part = { studies: studies.slice(start, start + AT_ONCE) };
      queued += (await body(api.POST("/api/archive/unsent/queue", { body: part }))).queued;
    }
    showToast(t("archive.unsent-queued", { count: queued, n: formatNumber(queued, 0) }));
    results.value = null;
    await onQueued();
  };
  const found = results.value;
  const studies = new Set(found?.map((one) => one.study)).size;
  const total = {
    count: found?.length ?? 0,
    n: formatNumber(found?.length ?? 0, 0),
    studies: formatNumber(studies, 0),
  };
  return (
    <>
      <h3>{t("archive.unsent")}</h3>
      <p class="soft">{t("archive.unsent-what")}</p>
      <button type="button" disabled={busy.value} onClick={() => void look()}>
        {t("archive.unsent-look")}
      </button>
      <div role="status">
        {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void look()} />}
        {found?.length === 0 && <p>{t("archive.unsent-none")}</p>}
        {found && found.length > 0 && (
          <>
            <UnsentTable groups={groupUnsent(found)} />
            <p>{t("archive.unsent-total", total)}</p>
            <button
              type="button"
              onClick={() => {
                asking.value = true;
              }}
            >
              {t("archive.unsent-queue")}
            </button>
          </>
        )}
      </div>
      {asking.value && (
        <ConfirmDialog
          title={t("archive.unsent-title")}
          confirmLabel={t("archive.unsent-queue")}
          onConfirm={queue}
          onClose={() => {
            asking.value = false;
          }}
        >
          <p>{t("archive.unsent-total", total)}</p>
          <p>{t("archive.unsent-once")}</p>
        </ConfirmDialog>
      )}
    </>
  );
}

/** Ask for one part of the studies after the other. */
async function findAll(): Promise<Result[]> {
  const found: Result[] = [];
  let after: string | null = "";
  while (after !== null) {
    const part: Part = await body(api.GET("/api/archive/unsent", { params: { query: { after } } }));
    found.push(...part.results);
    after = part.last;
  }
  return found;
}

function UnsentTable({ groups }: { groups: Group[] }) {
  return (
    <ScrollArea label={t("archive.unsent")}>
      <table class="small">
        <thead>
          <tr>
            <th scope="col">{t("archive.destination")}</th>
            <th scope="col">{t("archive.rule")}</th>
            <th scope="col">{t("archive.what")}</th>
            <th scope="col" class="number">
              {t("archive.number")}
            </th>
            <th scope="col">{t("archive.study")}</th>
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <tr key={group.key}>
              <th scope="row">{group.destination}</th>
              <td data-label={t("archive.rule")}>{group.rule}</td>
              <td data-label={t("archive.what")}>{translateTerm("archive.result", group.kind)}</td>
              <td class="number" data-label={t("archive.number")}>
                {formatNumber(group.count, 0)}
              </td>
              <td data-label={t("archive.study")}>
                {group.studies.slice(0, LINKS).map((study, place) => (
                  <>
                    <a key={study} href={href.study(study)}>
                      {formatNumber(place + 1, 0)}
                    </a>{" "}
                  </>
                ))}
                {group.studies.length > LINKS && "…"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}
