// A certificate: how far the engines that can run a model are from each other, in a short table.
import { Said } from "../../components/said";
import { ScrollArea } from "../../components/scroll-area";
import { formatDateTime, formatNumber, t, translateTerm } from "../../i18n";
import { type Certificate, describeLater } from "./card-facts";

interface Props {
  certificate: Certificate;
  /** All certificates of the model, the oldest first. */
  all: readonly Certificate[];
}

/** Of several only the newest is open. */
export function CertificateTable({ certificate, all }: Props) {
  const { engines, not_run: missing = {} } = certificate;
  const absent = Object.entries(missing);
  const later = describeLater(certificate, all);
  const passed = certificate.passed ? "passed" : "failed";
  return (
    <details open={certificate === all.at(-1)}>
      <summary>
        {formatDateTime(certificate.time)}:{" "}
        {absent.length > 0
          ? t(`model.certificate-${passed}-of`, { ran: engines.length, all: engines.length + absent.length })
          : t(`model.certificate-${passed}`)}
        {later &&
          ` (${t(later.passed ? "model.certificate-later-passed" : "model.certificate-later-failed", {
            at: formatDateTime(later.time),
          })})`}
      </summary>
      <p class="small soft">
        {translateTerm("model.part", certificate.part)},{" "}
        {t("model.images", { count: formatNumber(certificate.images, 0) })}. {t("model.certificate-lead")}
      </p>
      <ScrollArea label={t("model.fact.certificate")}>
        <table class="small">
          <thead>
            <tr>
              <th scope="col">{t("model.certificate-engine")}</th>
              <th scope="col">{t("model.certificate-images")}</th>
              <th scope="col">{t("model.certificate-largest")}</th>
              <th scope="col">{t("model.certificate-flipped")}</th>
              <th scope="col">{t("model.certificate-auroc")}</th>
              <th scope="col">{t("model.certificate-limit")}</th>
            </tr>
          </thead>
          <tbody>
            {engines.map((one) => (
              <tr key={one.engine}>
                <th scope="row">{translateTerm("model.engine", one.engine)}</th>
                <td>{formatNumber(one.images, 0)}</td>
                <td>{formatScientific(one.largest)}</td>
                <td>
                  {formatNumber(one.flipped, 0)}
                  {one.at_threshold ? ` (${t("model.certificate-at", { count: one.at_threshold })})` : ""}
                </td>
                <td>
                  {formatDifference(one.auroc_difference)}
                  {one.auroc_difference.note && (
                    <>
                      {" "}
                      <span class="soft">
                        (<Said by="evidence" text={one.auroc_difference.note} />)
                      </span>
                    </>
                  )}
                </td>
                <td>
                  <strong>{t(one.holds ? "model.certificate-holds" : "model.certificate-exceeds")}</strong>{" "}
                  <span class="soft">
                    <Said by="evidence" text={one.limit} />
                  </span>
                </td>
              </tr>
            ))}
            {absent.map(([engine, why]) => (
              <tr key={engine}>
                <th scope="row">{translateTerm("model.engine", engine)}</th>
                <td colSpan={5} class="soft">
                  {t("model.certificate-absent")} <Said by="evidence" text={why} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollArea>
    </details>
  );
}

/** Return a small difference with two digits: 1.4e-5. */
function formatScientific(value: number): string {
  if (value >= 0.001 || value === 0) return formatNumber(value, value === 0 ? 0 : 3);
  const [digits = "", power = ""] = value.toExponential(1).split("e");
  return `${formatNumber(Number(digits), 1)}e${power}`;
}

function formatDifference({ value, low, high }: Certificate["engines"][number]["auroc_difference"]): string {
  if (value === null) return t("dash.not-estimable");
  if (typeof low !== "number" || typeof high !== "number") return formatNumber(value, value === 0 ? 0 : 4);
  return `${formatNumber(value, 4)} [${t("dash.limits", { low: formatNumber(low, 4), high: formatNumber(high, 4) })}]`;
}
