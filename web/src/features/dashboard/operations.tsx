// How the server runs: what came in, what waits, how long an answer takes. No answer can be told from it.

import { asShare } from "../../components/estimate";
import { number, t } from "../../i18n";
import { Days } from "./charts";
import type { Board } from "./dashboard-page";

export function Operations({ board: { operations, refused, model } }: { board: Board }) {
  const seconds = (value: number | null) => (value === null ? "–" : t("dash.seconds", { value: number(value, 2) }));
  const tiles: [string, string][] = [
    [t("dash.studies"), number(operations.studies, 0)],
    [t("dash.images"), number(operations.images, 0)],
    [t("dash.references"), number(operations.references, 0)],
    ...(["queued", "running", "done", "failed"] as const).map((state): [string, string] => [
      t(`dash.state.${state}`),
      number(operations.predictions[state] ?? 0, 0),
    ]),
    [t("dash.median"), seconds(operations.median_seconds)],
    [t("dash.slowest"), seconds(operations.slowest_seconds)],
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
      {refused && model && <p>{t("dash.silent", { share: asShare(refused) })}</p>}
      {operations.days.length > 0 && <Days days={operations.days} />}
    </>
  );
}
