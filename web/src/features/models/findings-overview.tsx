// All findings of a multi-label model in one table, and the choice of the one that the page shows in full.

import type { Card, FindingFacts } from "../../api/card";
import { formatEstimate } from "../../components/estimate";
import { ScrollArea } from "../../components/scroll-area";
import { formatNumber, labelName, t, translateTerm } from "../../i18n";

interface Props {
  card: Card;
  /** The finding that the page shows in full. */
  shown: string;
  onShow: (finding: string) => void;
}

export function FindingsOverview({ card, shown, onShow }: Props) {
  const findings = card.findings ?? [];
  const part = findings[0]?.metrics.at(-1)?.part;
  return (
    <>
      <h3>{t("model.findings")}</h3>
      <p>{t("model.findings-lead", { part: part ? translateTerm("model.part", part) : t("model.findings-silent") })}</p>
      <ScrollArea label={t("model.findings")}>
        <table class="findings-overview">
          <thead>
            <tr>
              <th scope="col">{t("panel.finding")}</th>
              <th scope="col">{t("model.present")}</th>
              <th scope="col">{t("model.absent")}</th>
              <th scope="col">{t("model.metric.auroc")}</th>
              <th scope="col">{t("model.finding-threshold")}</th>
              <th scope="col">{t("model.metric.sensitivity")}</th>
              <th scope="col">{t("model.metric.specificity")}</th>
            </tr>
          </thead>
          <tbody>
            {findings.map((facts) => (
              <FindingRow key={facts.name} card={card} facts={facts} />
            ))}
          </tbody>
        </table>
      </ScrollArea>
      <label class="field finding-choice">
        <span>{t("model.finding-choose")}</span>
        <select value={shown} onChange={(event) => onShow(event.currentTarget.value)}>
          {findings.map(({ name }) => (
            <option key={name} value={name}>
              {labelName(name)}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}

function FindingRow({ card, facts }: { card: Card; facts: FindingFacts }) {
  const part = facts.metrics.at(-1);
  const images = card.labels.find(({ name }) => name === facts.name)?.images ?? {};
  const name = card.default_operating_point;
  const point = facts.operating_points.find((one) => one.name === name);
  const format = (key: string) => {
    const estimate = part?.metrics[key];
    return estimate ? formatEstimate(estimate) : "–";
  };
  const count = (of: Record<string, number>) => {
    const number = of[part?.part ?? ""];
    return number === undefined ? "–" : formatNumber(number, 0);
  };
  return (
    <tr>
      <th scope="row">{labelName(facts.name)}</th>
      <td>{count(images)}</td>
      <td>{count(facts.absent)}</td>
      <td>{format(`${facts.name}/auroc`)}</td>
      <td>{point ? formatNumber(point.threshold, 4) : "–"}</td>
      <td>{format(`${name}/sensitivity`)}</td>
      <td>{format(`${name}/specificity`)}</td>
    </tr>
  );
}
