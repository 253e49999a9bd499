// The warning before the automatic logout. It also starts the watch for activity.
import { useEffect } from "preact/hooks";
import { logOut, secondsLeft, stayLoggedIn, watchActivity } from "../../api/session";
import { Dialog } from "../../components/dialog";
import { t } from "../../i18n";

export function IdleWarning({ seconds }: { seconds: number }) {
  useEffect(() => watchActivity(seconds), [seconds]);
  if (secondsLeft.value === null) return null;
  return (
    <Dialog title={t("login.idle-title")} onClose={stayLoggedIn} urgent>
      <p>{t("login.idle", { seconds: secondsLeft.value })}</p>
      <div class="actions">
        {/* this button is first and so has the focus: a reader who keeps typing stays logged in */}
        <button type="button" class="primary" onClick={stayLoggedIn}>
          {t("login.stay")}
        </button>
        <button type="button" onClick={() => void logOut("self")}>
          {t("login.out")}
        </button>
      </div>
    </Dialog>
  );
}
