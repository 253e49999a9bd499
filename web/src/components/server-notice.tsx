// Says that the server can't be reached, on every page, until it is back.
import { serverGone } from "../api/connection";
import { t } from "../i18n";

export function ServerNotice() {
  if (!serverGone.value) return null;
  return (
    <p class="server-gone" role="alert">
      {t("frame.server-gone")}
    </p>
  );
}
