// How the model's answers changed reads: over all readers and, for admins, by reader.

import { formatShare, IntervalTable } from "../../components/estimate";
import { ScrollArea } from "../../components/scroll-area";
import { formatNumber, t } from "../../i18n";
import type { ReaderFigures, SiteFigures } from "./types";

export function ReadChanges({ figures: { changes } }: { figures: SiteFigures }) {
  if (changes.pairs === 0) return <p>{t("dash.changes-none")}</p>;
  const rows: [string, number][] = [
    [t("dash.changed-target"), changes.changed_target],
    [t("dash.towards"), changes.towards],
    [t("dash.away"), changes.away],
    [t("dash.changed-verified"), changes.verified],
    [t("dash.better"), changes.better],
    [t("dash.worse"), changes.worse],
  ];
  return (
    <>
      <p class="soft">{t("dash.changes-is", { pairs: formatNumber(changes.pairs, 0) })}</p>
      <IntervalTable
        caption={t("dash.changes")}
        format={formatShare}
        rows={[
          {
            key: "changed",
            name: t("dash.changed"),
            hint: t("dash.of", { part: formatNumber(changes.changed_label, 0), whole: formatNumber(changes.pairs, 0) }),
            estimate: changes.changed,
          },
        ]}
      />
      {changes.verified_pairs > 0 && (
        <>
          <h3>{t("dash.difference")}</h3>
          <IntervalTable
            caption={t("dash.difference")}
            range={[-1, 1]}
            mark={0}
            rows={(["sensitivity", "specificity"] as const).map((figure) => ({
              key: figure,
              name: t(`model.metric.${figure}`),
              estimate: changes[figure].difference,
            }))}
          />
        </>
      )}
      <table class="counts">
        <tbody>
          {rows.map(([name, count]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{formatNumber(count, 0)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

export function ReaderTable({ readers }: { readers: ReaderFigures[] }) {
  return (
    <>
      <p class="soft">{t("dash.by-reader-is")}</p>
      <ScrollArea label={t("dash.by-reader")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("dash.reader")}</th>
              <th scope="col">{t("dash.reads")}</th>
              <th scope="col">{t("dash.pair.model")}</th>
              <th scope="col">{t("dash.unaided-sensitivity")}</th>
              <th scope="col">{t("dash.unaided-specificity")}</th>
              <th scope="col">{t("dash.aided-sensitivity")}</th>
              <th scope="col">{t("dash.aided-specificity")}</th>
            </tr>
          </thead>
          <tbody>
            {readers.map((one) => (
              <tr key={one.reader}>
                <th scope="row" class="mono">
                  {one.reader}
                </th>
                <td>{formatNumber(one.counts.reads, 0)}</td>
                <td>{formatShare(one.with_model.observed)}</td>
                <td>{formatShare(one.unaided.sensitivity)}</td>
                <td>{formatShare(one.unaided.specificity)}</td>
                <td>{formatShare(one.aided.sensitivity)}</td>
                <td>{formatShare(one.aided.specificity)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollArea>
    </>
  );
}
