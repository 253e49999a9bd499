// Objects with other pixels under a known UID: who sent them, when, of which study; to save and to throw away.
import { useSignal } from "@preact/signals";
import { api, body, me } from "../../api/client";
import type { components } from "../../api/schema";
import { ConfirmDialog } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { ScrollArea } from "../../components/scroll-area";
import { showToast } from "../../components/toast";
import { formatDateTime, formatNumber, t } from "../../i18n";
import { href } from "../../router";
import { useLoaded } from "./loaded";
import { senderName } from "./sender";

type Apart = components["schemas"]["ObjectApartOut"];

export function KeptApart() {
  const { value, problem, load } = useLoaded(() => body(api.GET("/api/archive/quarantine")));
  const leaving = useSignal<Apart | null>(null);
  const discard = async (item: string) => {
    await body(api.DELETE("/api/archive/quarantine/{item}", { params: { path: { item } } }));
    showToast(t("archive.discarded"));
    await load();
  };
  return (
    <section aria-labelledby="archive-apart" class="sheet">
      <h2 id="archive-apart">{t("archive.apart")}</h2>
      <p class="soft">{t("archive.apart-what")}</p>
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => void load()} />}
      {value.value?.length === 0 && <p>{t("archive.apart-none")}</p>}
      {value.value && value.value.length > 0 && (
        <ScrollArea label={t("archive.apart")}>
          <table class="small">
            <thead>
              <tr>
                <th scope="col">{t("archive.at")}</th>
                <th scope="col">{t("archive.sender")}</th>
                <th scope="col">{t("archive.study")}</th>
                <th scope="col">{t("archive.size")}</th>
                <td />
              </tr>
            </thead>
            <tbody>
              {value.value.map((one) => (
                <tr key={one.id}>
                  <td data-label={t("archive.at")}>{formatDateTime(one.received)}</td>
                  <td data-label={t("archive.sender")}>{senderName(one.sender)}</td>
                  <td data-label={t("archive.study")}>
                    <a href={href.study(one.study)}>{t("archive.open-study")}</a>
                  </td>
                  <td data-label={t("archive.size")}>
                    {one.bytes === null ? "–" : t("archive.kib", { kib: formatNumber(one.bytes / 1024, 0) })}
                  </td>
                  <td class="archive-actions">
                    {me.value?.sees_names && (
                      <a href={`/api/archive/quarantine/${one.id}/object.dcm`} download>
                        {t("archive.save")}
                      </a>
                    )}
                    <button
                      type="button"
                      onClick={() => {
                        leaving.value = one;
                      }}
                    >
                      {t("archive.discard")}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollArea>
      )}
      {leaving.value && (
        <ConfirmDialog
          title={t("archive.discard-title")}
          confirmLabel={t("archive.discard")}
          onConfirm={() => discard((leaving.value as Apart).id)}
          onClose={() => {
            leaving.value = null;
          }}
        >
          <p>{t("archive.discard-what", { sender: senderName(leaving.value.sender) })}</p>
        </ConfirmDialog>
      )}
    </section>
  );
}
