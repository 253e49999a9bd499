// How often each finding of a multi-label model was named: by the model, by readers, by a reference standard.

import { ScrollArea } from "../../components/scroll-area";
import { formatNumber, labelName, t } from "../../i18n";
import type { SiteFigures } from "./types";

const COLUMNS = ["answers", "unaided", "aided", "verified"] as const;

export function FindingCounts({ figures }: { figures: SiteFigures }) {
  return (
    <>
      <p class="soft">{t("dash.by-finding-is", { label: labelName(figures.primary) })}</p>
      <ScrollArea label={t("dash.by-finding")}>
        <table class="counts">
          <thead>
            <tr>
              <th scope="col">{t("panel.finding")}</th>
              {COLUMNS.map((column) => (
                <th key={column} scope="col">
                  {t(`dash.by-finding.${column}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {figures.by_finding?.map((row) => (
              <tr key={row.label}>
                <th scope="row">{labelName(row.label)}</th>
                {COLUMNS.map((column) => (
                  <td key={column}>{formatNumber(row[column], 0)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollArea>
    </>
  );
}
