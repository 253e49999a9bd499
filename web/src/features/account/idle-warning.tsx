// The warning before the automatic log-off, and the watch that leads to it.
import { useEffect } from "preact/hooks";
import { leave, left, stay, watchUse } from "../../api/session";
import { Dialog } from "../../components/dialog";
import { t } from "../../i18n";

export function IdleWarning({ seconds }: { seconds: number }) {
  useEffect(() => watchUse(seconds), [seconds]);
  if (left.value === null) return null;
  return (
    <Dialog title={t("login.idle-title")} onClose={stay} urgent>
      <p>{t("login.idle", { seconds: left.value })}</p>
      <div class="actions">
        {/* first, so that it has the focus: a reader who goes on typing stays */}
        <button type="button" class="primary" onClick={stay}>
          {t("login.stay")}
        </button>
        <button type="button" onClick={() => void leave("self")}>
          {t("login.out")}
        </button>
      </div>
    </Dialog>
  );
}
