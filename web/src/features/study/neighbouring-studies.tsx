// Links to the next and the previous study of the worklist (newest first), within its first page.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body } from "../../api/client";
import { t } from "../../i18n";
import { href } from "../../router";

const MAX_STUDIES = 200;

export function NeighbouringStudies({ id }: { id: string }) {
  const list = useSignal<string[]>([]);
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
  const at = list.value.indexOf(id);
  if (at < 0) return null;
  const [newer, older] = [list.value[at - 1], list.value[at + 1]];
  return (
    <nav class="neighbours" aria-label={t("panel.neighbours")}>
      {newer ? <a href={href.study(newer)}>{t("panel.newer")}</a> : <span aria-hidden="true" />}
      {older ? <a href={href.study(older)}>{t("panel.older")}</a> : <span aria-hidden="true" />}
    </nav>
  );
}
