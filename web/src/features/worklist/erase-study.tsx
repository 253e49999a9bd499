// Erasing a study, for admins: what goes, what stays, and that nothing brings it back.
import { api, body } from "../../api/client";
import type { Study } from "../../api/types";
import { Confirm } from "../../components/dialog";
import { say } from "../../components/toast";
import { t } from "../../i18n";
import { drop } from "./study-list";
import { nameOfPatient } from "./study-row";

export function EraseStudy({ study, onClose }: { study: Study; onClose: () => void }) {
  const act = async () => {
    const gone = await body(api.DELETE("/api/studies/{study}", { params: { path: { study: study.id } } }));
    drop(study.id);
    say(t("work.erased", { images: gone.images, predictions: gone.predictions }));
    if (gone.exports_unreached.length > 0) say(t("work.unreached", { count: gone.exports_unreached.length }), true);
  };
  return (
    <Confirm title={t("work.erase-title")} doIt={t("work.erase")} act={act} onClose={onClose}>
      <p>{t("work.erase-what", { who: nameOfPatient(study.patient), count: study.images.length })}</p>
      <p class="soft">{t("work.erase-stays")}</p>
    </Confirm>
  );
}
