// Links to the next and the previous study of the worklist (newest first), within its first page.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body } from "../../api/client";
import { t } from "../../i18n";
import { href } from "../../router";
import { type OpenStudy, useCommand } from "./open-study";

const MAX_STUDIES = 200;

export function NeighbouringStudies({ open }: { open: OpenStudy }) {
  const { id } = open.study.value;
  const list = useSignal<string[]>([]);
  const unread = useSignal<string | null>(null);
  useEffect(() => {
    body(api.GET("/api/studies", { params: { query: { limit: MAX_STUDIES } } })).then(
      (page) => {
        list.value = page.studies.map((study) => study.id);
      },
      () => {
        list.value = []; // the links are optional; the worklist shows the problem
      },
    );
  }, [list]);
  useEffect(() => {
    body(api.GET("/api/studies", { params: { query: { unread: true, limit: 2 } } })).then(
      (page) => {
        unread.value = page.studies.find((study) => study.id !== id)?.id ?? null;
      },
      () => {
        unread.value = null;
      },
    );
  }, [id, unread, open.study.value.own_read]);
  useCommand(open, "next", () => {
    if (unread.value !== null) location.hash = href.study(unread.value);
  });
  const at = list.value.indexOf(id);
  const [newer, older] = [list.value[at - 1], at < 0 ? undefined : list.value[at + 1]];
  return (
    <nav class="neighbours" aria-label={t("panel.neighbours")}>
      {newer ? <a href={href.study(newer)}>{t("panel.newer")}</a> : <span aria-hidden="true" />}
      {older ? <a href={href.study(older)}>{t("panel.older")}</a> : <span aria-hidden="true" />}
      {unread.value !== null && (
        <a href={href.study(unread.value)} aria-keyshortcuts="n" title={`${t("work.next-unread")} (n)`}>
          {t("work.next-unread")}
        </a>
      )}
    </nav>
  );
}
