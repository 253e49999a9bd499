// The server's operation: what it received, what waits, how long an answer takes. It reveals no single answer.

import { formatShare } from "../../components/estimate";
import { formatNumber, t } from "../../i18n";
import { DailyStudies } from "./charts";
import type { DashboardReport } from "./types";

export function Operations({ board: { operations, refused, model } }: { board: DashboardReport }) {
  const formatSeconds = (value: number | null) =>
    value === null ? "–" : t("dash.seconds", { value: formatNumber(value, 2) });
  const tiles: [string, string][] = [
    [t("dash.studies"), formatNumber(operations.studies, 0)],
    [t("dash.images"), formatNumber(operations.images, 0)],
    [t("dash.references"), formatNumber(operations.references, 0)],
    ...(["queued", "running", "done", "failed"] as const).map((state): [string, string] => [
      t(`dash.state.${state}`),
      formatNumber(operations.predictions[state] ?? 0, 0),
    ]),
    [t("dash.median"), formatSeconds(operations.median_seconds)],
    [t("dash.slowest"), formatSeconds(operations.slowest_seconds)],
  ];
  return (
    <>
      <dl class="tiles">
        {tiles.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {refused && refused.value !== null && model && <p>{t("dash.silent", { share: formatShare(refused) })}</p>}
      {operations.days.length > 0 && <DailyStudies days={operations.days} />}
    </>
  );
}
