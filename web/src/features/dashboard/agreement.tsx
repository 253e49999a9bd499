// Who agrees with whom: the share, kappa, and the table that both come from. It says nothing about who is right.

import type { components } from "../../api/schema";
import { asShare, asText, Intervals } from "../../components/estimate";
import { Scroll } from "../../components/scroll-area";
import { number, t, word } from "../../i18n";
import { className } from "../models/figure-names";
import type { Figures } from "./dashboard-page";

type Agreement = components["schemas"]["Agreement"];

export function Agreements({ figures }: { figures: Figures }) {
  const found: [key: "model" | "aided" | "readers", agreement: Agreement, labels: Agreement | null][] = [
    ["model", figures.model_and_unaided, figures.model_and_unaided_labels],
    ["aided", figures.unaided_and_aided, figures.unaided_and_aided_labels],
    ["readers", figures.between_readers, null],
  ];
  const there = found.filter(([, { pairs }]) => pairs > 0);
  return (
    <>
      <p class="soft">{t("dash.agreement-is")}</p>
      {there.length === 0 && <p>{t("dash.agreement-none")}</p>}
      {there.map(([key, agreement, labels]) => (
        <div key={key}>
          <h3>{t(`dash.pair.${key}`)}</h3>
          <p class="soft small">
            {t("dash.pairs", { pairs: number(agreement.pairs, 0), groups: number(agreement.groups, 0) })}
          </p>
          <Intervals
            caption={t(`dash.pair.${key}`)}
            say={asShare}
            rows={[{ key: "observed", name: t("dash.observed"), estimate: agreement.observed }]}
          />
          <Intervals
            caption={t("dash.kappa")}
            say={asText}
            range={[-1, 1]}
            mark={0}
            rows={[{ key: "kappa", name: t("dash.kappa"), hint: t("dash.kappa-is"), estimate: agreement.kappa }]}
          />
          <details>
            <summary>{t("dash.table")}</summary>
            <Table agreement={agreement} rows={t(`dash.rows.${key}`)} columns={t(`dash.columns.${key}`)} />
            {labels && labels.labels.length > agreement.labels.length && (
              <Table agreement={labels} rows={t(`dash.rows.${key}`)} columns={t(`dash.columns.${key}`)} />
            )}
          </details>
        </div>
      ))}
    </>
  );
}

function Table({ agreement, rows, columns }: { agreement: Agreement; rows: string; columns: string }) {
  return (
    <Scroll label={`${rows}, ${columns}`}>
      <table class="counts">
        <thead>
          <tr>
            <th scope="col">
              {rows} ↓ {columns} →
            </th>
            {agreement.labels.map((label) => (
              <th key={label} scope="col">
                {said(label)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {agreement.labels.map((label, row) => (
            <tr key={label}>
              <th scope="row">{said(label)}</th>
              {agreement.labels.map((other, column) => (
                <td key={other} data-same={row === column}>
                  {number(agreement.table[row]?.[column] ?? 0, 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** A label as words; "not covid-19" is the other side of the question. */
function said(label: string): string {
  return label.startsWith("not ") ? t("dash.not", { label: word("label", label.slice(4)) }) : className(label);
}
