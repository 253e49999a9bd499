// Erases a study, for admins, after a confirmation that names what is erased and what stays.
import { api, body } from "../../api/client";
import type { Study } from "../../api/types";
import { ConfirmDialog } from "../../components/dialog";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";
import { studyName } from "./patient-names";
import { removeStudy } from "./study-list";

export function EraseStudy({ study, onClose }: { study: Study; onClose: () => void }) {
  const erase = async () => {
    const counts = await body(api.DELETE("/api/studies/{study}", { params: { path: { study: study.id } } }));
    removeStudy(study.id);
    showToast(t("work.erased", { images: counts.images, predictions: counts.predictions }));
    if (counts.exports_unreached.length > 0)
      showToast(t("work.unreached", { count: counts.exports_unreached.length }), true);
  };
  return (
    <ConfirmDialog title={t("work.erase-title")} confirmLabel={t("work.erase")} onConfirm={erase} onClose={onClose}>
      <p>{t("work.erase-what", { who: studyName(study), count: study.images.length })}</p>
      <p class="soft">{t("work.erase-stays")}</p>
    </ConfirmDialog>
  );
}
