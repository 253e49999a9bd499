// A model's training data: sources, licences, reference standards, and the findings of the data checks.

import type { Card, Finding } from "../../api/card";
import { Badge, type Tone } from "../../components/badge";
import { Said } from "../../components/said";
import { ScrollArea } from "../../components/scroll-area";
import { formatNumber, t, translateTerm } from "../../i18n";
import { splitStandards } from "./card-facts";
import { classLabel } from "./figure-names";

const PARTS = ["train", "validation", "calibration", "test"];
const TONES: Record<Finding["severity"], Tone> = { block: "bad", warn: "warn", note: "plain" };

export function Origin({ card }: { card: Card }) {
  const sources = card.licences.filter(({ images }) => images > 0).map(({ source }) => source);
  return (
    <>
      <h3>{t("model.sources")}</h3>
      <p>{t("model.sources-lead")}</p>
      <ScrollArea label={t("model.sources")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("model.source")}</th>
              <th scope="col">{t("model.licence")}</th>
              <th scope="col">{t("model.train-images")}</th>
            </tr>
          </thead>
          <tbody>
            {card.licences.map(({ source, licence, images }) => (
              <tr key={source}>
                <th scope="row" lang="en">
                  {source}
                </th>
                <td lang="en">{licence}</td>
                <td>{images > 0 ? formatNumber(images, 0) : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollArea>
      <h3>{t("model.classes")}</h3>
      <ScrollArea label={t("model.classes")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("model.class")}</th>
              {PARTS.map((part) => (
                <th key={part} scope="col">
                  {translateTerm("model.part", part)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {listCounts(card).map(({ name, images }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {PARTS.map((part) => (
                  <td key={part}>{images[part] === undefined ? "–" : formatNumber(images[part], 0)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollArea>
      <h3>{t("model.standards")}</h3>
      <p>{t("model.standards-lead")}</p>
      {card.labels.map((label) => (
        <details key={label.name}>
          <summary>
            {classLabel(label.name)}
            {label.members.length > 1 && ` (${label.members.map((member) => classLabel(member)).join(", ")})`}
          </summary>
          <dl class="facts" lang="en">
            {splitStandards(label, sources).map(({ source, standard }) => (
              <div key={source}>
                <dt>{source}</dt>
                <dd>{standard}</dd>
              </div>
            ))}
          </dl>
        </details>
      ))}
      <h3>{t("model.gate")}</h3>
      {card.gate ? (
        <ul class="findings">
          {card.gate.findings.map((finding) => (
            <li key={finding.name}>
              <Badge tone={TONES[finding.severity]}>{t(`model.gate.${finding.severity}`)}</Badge>{" "}
              <Said by="gate" text={finding.sentence} /> {finding.because && <q>{finding.because}</q>}
            </li>
          ))}
        </ul>
      ) : (
        <p>{t("model.gate-none")}</p>
      )}
    </>
  );
}

/** Images by part of each class; of a multi-label model those in which each finding is stated present, and absent. */
function listCounts(card: Card): { name: string; images: Record<string, number> }[] {
  if (!card.findings?.length) return card.labels.map(({ name, images }) => ({ name: classLabel(name), images }));
  return card.labels.flatMap(({ name, images }) => [
    { name: t("model.stated-present", { label: classLabel(name) }), images },
    {
      name: t("model.stated-absent", { label: classLabel(name) }),
      images: card.findings?.find((facts) => facts.name === name)?.absent ?? {},
    },
  ]);
}
