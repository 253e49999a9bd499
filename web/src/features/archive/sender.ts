import { t } from "../../i18n";

const PEER = "dicom:";

/** Return who sent an object: a peer's AE title, or the account that used the web service. */
export function senderName(sender: string): string {
  return sender.startsWith(PEER) ? sender.slice(PEER.length) : t("archive.by-account", { account: sender });
}
