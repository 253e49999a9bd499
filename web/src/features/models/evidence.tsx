// The facts added after a model was built, its technical details and its files.

import type { ComponentChildren } from "preact";
import type { Card } from "../../api/card";
import type { ModelDetail } from "../../api/types";
import { formatDateTime, formatNumber, t, translateTerm } from "../../i18n";
import {
  arrangeChanges,
  findParity,
  knowsEvidence,
  listCertificates,
  listOpenings,
  listOtherFacts,
} from "./card-facts";
import { CertificateTable } from "./certificate";

export function Evidence({ model }: { model: ModelDetail }) {
  const parity = findParity(model);
  const openings = listOpenings(model);
  const known = knowsEvidence(model);
  const certificates = listCertificates(model);
  const others = listOtherFacts(model);
  return (
    <>
      <p>{t("model.evidence-lead")}</p>
      <dl class="facts">
        <div>
          <dt>{t("model.audit")}</dt>
          <dd>{translateTerm("model.audit-long", model.audit)}</dd>
        </div>
        <div>
          <dt>{t("model.openings")}</dt>
          <dd>
            {openings.length === 0 && t(known ? "model.test-none" : "model.test-unknown")}
            {openings.map((opening) => (
              <div key={opening.time}>
                {formatDateTime(opening.time)}: {t("model.images", { count: formatNumber(opening.images, 0) })};{" "}
                <code>{opening.command}</code>
              </div>
            ))}
          </dd>
        </div>
        <div>
          <dt>{t("model.parity")}</dt>
          <dd>
            {parity
              ? t("model.parity-is", {
                  images: parity.images,
                  largest: Object.entries(parity.largest)
                    .map(([output, value]) => `${output} ${value.toExponential(1)}`)
                    .join(", "),
                })
              : t(known ? "model.parity-none" : "model.not-known")}
          </dd>
        </div>
        {certificates.length > 0 && (
          <div>
            <dt>{t("model.fact.certificate")}</dt>
            <dd>
              {[...certificates].reverse().map((certificate) => (
                <CertificateTable key={certificate.time} certificate={certificate} all={certificates} />
              ))}
            </dd>
          </div>
        )}
        {others.map((fact, index) => (
          <div key={index}>
            <dt>{translateTerm("model.fact", String(fact.kind || t("model.fact-other")))}</dt>
            <dd>
              <details>
                <summary>{typeof fact.time === "string" ? formatDateTime(fact.time) : t("model.fact-show")}</summary>
                <pre lang="en">{JSON.stringify(fact, null, 1)}</pre>
              </details>
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

export function Details({ model, card }: { model: ModelDetail; card: Card }) {
  const changes = arrangeChanges(card.recipe_changes);
  const facts: [string, ComponentChildren][] = [
    [t("model.identity"), model.identity],
    [t("model.graph"), `${card.model_sha256} (${formatNumber(card.model_bytes / 1e6, 1)} MB)`],
    [t("model.made"), formatDateTime(card.created)],
    [
      t("model.recipe"),
      <>
        {[card.recipe_name, changes.line].filter(Boolean).join("; ")}
        {changes.list.length > 0 && (
          <details>
            <summary>{t("model.changes", { count: changes.list.length })}</summary>
            <ul>
              {changes.list.map((change) => (
                <li key={change}>{change}</li>
              ))}
            </ul>
          </details>
        )}
      </>,
    ],
    [t("model.parameters"), formatNumber(card.parameters, 0)],
    [t("model.input"), t("model.input-is", { side: card.input_size })],
    [
      t("model.heatmap"),
      card.heatmap_size ? t("model.heatmap-is", { size: card.heatmap_size.join("×") }) : t("model.heatmap-none"),
    ],
    [t("model.data"), `${card.data_hash.slice(0, 12)}, ${card.split_hash.slice(0, 12)}`],
    [
      t("model.software"),
      Object.entries(card.software)
        .map(([name, version]) => `${name} ${version}`)
        .join(", "),
    ],
  ];
  return (
    <>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="long">{value}</dd>
          </div>
        ))}
      </dl>
      <h3>{t("model.files")}</h3>
      <ul class="files">
        {model.files.map((name) => (
          <li key={name}>
            <a href={`/api/models/${model.id}/files/${name}`} download>
              {name}
            </a>{" "}
            <span class="soft small">{describeFile(name)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function describeFile(name: string): string {
  const description = translateTerm("model.file", name);
  return description === name ? "" : description;
}
