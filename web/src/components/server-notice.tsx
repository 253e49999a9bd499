// Says that the server can't be reached, on every page, until it is back.
import { serverGone } from "../api/connection";
import { t } from "../i18n";

export function ServerNotice() {
  return <div role="alert">{serverGone.value && <p class="server-gone">{t("frame.server-gone")}</p>}</div>;
}
