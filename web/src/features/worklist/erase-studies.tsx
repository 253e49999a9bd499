// Erases studies, for admins, after a confirmation that names what is erased and what stays.
import { api, body } from "../../api/client";
import type { Study } from "../../api/types";
import { ConfirmDialog } from "../../components/dialog";
import { showToast } from "../../components/toast";
import { t } from "../../i18n";
import { studyName } from "./patient-names";
import { selection } from "./selection";
import { removeStudy } from "./study-list";

/** Studies that one request erases. */
const AT_ONCE = 500;

export function EraseStudies({ studies, onClose }: { studies: Study[]; onClose: () => void }) {
  const images = studies.reduce((sum, study) => sum + study.images.length, 0);
  const [only] = studies;
  const erase = async () => {
    let [erased, predictions, unreached] = [0, 0, 0];
    for (let at = 0; at < studies.length; at += AT_ONCE) {
      const ids = studies.slice(at, at + AT_ONCE).map(({ id }) => id);
      const counts = await body(api.POST("/api/studies/erase", { body: { studies: ids } }));
      erased += counts.images;
      predictions += counts.predictions;
      unreached = counts.exports_unreached.length;
      for (const id of ids) removeStudy(id);
    }
    selection.value = null;
    showToast(t("work.erased", { images: erased, predictions }));
    if (unreached > 0) showToast(t("work.unreached", { count: unreached }), true);
  };
  return (
    <ConfirmDialog
      title={t(studies.length === 1 ? "work.erase-title" : "work.erase-several")}
      confirmLabel={t("work.erase")}
      onConfirm={erase}
      onClose={onClose}
    >
      <p>
        {studies.length === 1 && only
          ? t("work.erase-what", { who: studyName(only), count: images })
          : t("work.erase-many", { count: studies.length, images })}
      </p>
      <p class="soft">{t("work.erase-stays")}</p>
    </ConfirmDialog>
  );
}
