import { t } from "../i18n";

export function Worklist() {
  return <h1>{t("nav.worklist")}</h1>;
}
