// Agreement between readers and model: the share, kappa and the table behind both. Agreement is not accuracy.

import { formatEstimate, formatShare, IntervalTable } from "../../components/estimate";
import { ScrollArea } from "../../components/scroll-area";
import { formatNumber, labelName, t } from "../../i18n";
import { classLabel } from "../models/figure-names";
import type { Agreement, SiteFigures } from "./types";

export function AgreementTables({ figures }: { figures: SiteFigures }) {
  const comparisons: [key: "model" | "aided" | "readers", agreement: Agreement, labels: Agreement | null][] = [
    ["model", figures.model_and_unaided, figures.model_and_unaided_labels],
    ["aided", figures.unaided_and_aided, figures.unaided_and_aided_labels],
    ["readers", figures.between_readers, null],
  ];
  const available = comparisons.filter(([, { pairs }]) => pairs > 0);
  return (
    <>
      <p class="soft">{t("dash.agreement-is")}</p>
      {available.length === 0 && <p>{t("dash.agreement-none")}</p>}
      {available.map(([key, agreement, labels]) => (
        <div key={key}>
          <h3>{t(`dash.pair.${key}`)}</h3>
          <p class="soft small">
            {t("dash.pairs", { pairs: formatNumber(agreement.pairs, 0), groups: formatNumber(agreement.groups, 0) })}
          </p>
          <IntervalTable
            caption={t(`dash.pair.${key}`)}
            format={formatShare}
            rows={[{ key: "observed", name: t("dash.observed"), estimate: agreement.observed }]}
          />
          <IntervalTable
            caption={t("dash.kappa")}
            format={formatEstimate}
            range={[-1, 1]}
            mark={0}
            rows={[{ key: "kappa", name: t("dash.kappa"), hint: t("dash.kappa-is"), estimate: agreement.kappa }]}
          />
          <details>
            <summary>{t("dash.table")}</summary>
            <AgreementTable agreement={agreement} rows={t(`dash.rows.${key}`)} columns={t(`dash.columns.${key}`)} />
            {labels && labels.labels.length > agreement.labels.length && (
              <AgreementTable agreement={labels} rows={t(`dash.rows.${key}`)} columns={t(`dash.columns.${key}`)} />
            )}
          </details>
        </div>
      ))}
    </>
  );
}

function AgreementTable({ agreement, rows, columns }: { agreement: Agreement; rows: string; columns: string }) {
  return (
    <ScrollArea label={`${rows}, ${columns}`}>
      <table class="counts">
        <thead>
          <tr>
            <th scope="col">
              {rows} ↓ {columns} →
            </th>
            {agreement.labels.map((label) => (
              <th key={label} scope="col">
                {labelText(label)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {agreement.labels.map((label, row) => (
            <tr key={label}>
              <th scope="row">{labelText(label)}</th>
              {agreement.labels.map((other, column) => (
                <td key={other} data-same={row === column}>
                  {formatNumber(agreement.table[row]?.[column] ?? 0, 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollArea>
  );
}

/** Return the name of a label. The labels of a yes-or-no question are for example "covid-19" and "not covid-19". */
function labelText(label: string): string {
  return label.startsWith("not ") ? t("dash.not", { label: labelName(label.slice(4)) }) : classLabel(label);
}
