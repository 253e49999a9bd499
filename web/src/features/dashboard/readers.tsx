// What readers made of the model's answers, together and, for admins, one by one.

import type { components } from "../../api/schema";
import { asShare, Intervals } from "../../components/estimate";
import { Scroll } from "../../components/scroll-area";
import { number, t } from "../../i18n";
import type { Figures } from "./dashboard-page";

export function Changes({ figures: { changes } }: { figures: Figures }) {
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
      <p class="soft">{t("dash.changes-is", { pairs: number(changes.pairs, 0) })}</p>
      <Intervals
        caption={t("dash.changes")}
        say={asShare}
        rows={[
          {
            key: "changed",
            name: t("dash.changed"),
            hint: t("dash.of", { part: number(changes.changed_label, 0), whole: number(changes.pairs, 0) }),
            estimate: changes.changed,
          },
        ]}
      />
      {changes.verified_pairs > 0 && (
        <>
          <h3>{t("dash.difference")}</h3>
          <Intervals
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
              <td>{number(count, 0)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

export function ByReader({ readers }: { readers: components["schemas"]["ReaderFigures"][] }) {
  return (
    <>
      <p class="soft">{t("dash.by-reader-is")}</p>
      <Scroll label={t("dash.by-reader")}>
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
                <td>{number(one.counts.reads, 0)}</td>
                <td>{asShare(one.with_model.observed)}</td>
                <td>{asShare(one.unaided.sensitivity)}</td>
                <td>{asShare(one.unaided.specificity)}</td>
                <td>{asShare(one.aided.sensitivity)}</td>
                <td>{asShare(one.aided.specificity)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </>
  );
}
