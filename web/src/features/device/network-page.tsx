// What a network is and is not, from its card; also of one that was not downloaded yet.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { viewOfFinding } from "../../api/card";
import { ModelBadges } from "../../components/badge";
import { Said } from "../../components/said";
import type { ClassifierCard, Facts } from "../../device/bundle";
import { fetchCard } from "../../device/store";
import { t } from "../../i18n";
import { Decisions } from "../models/decisions";
import { Evidence } from "../models/evidence";
import { Figures } from "../models/figures";
import { ModelSummary } from "../models/model-summary";
import { Origin } from "../models/origin";
import { Limits, Purpose } from "../models/purpose";
import { Scores } from "../models/scores";
import { ModelWarnings } from "../models/warnings";
import { CertificateRun } from "./certificate-run";
import { bundleName, cards, facts, kept, learnLabels, offered, sizeOf } from "./device-state";
import { modelOf } from "./model-of";
import { Resources } from "./resources";
import { formatSize } from "./size";

export function NetworkPage({ id }: { id: string }) {
  const fetched = useSignal<{ card: ClassifierCard; facts: Facts | null } | null>(null);
  const bundle = [...(kept.value ?? []), ...(offered.value?.bundles ?? [])].find((one) => one.identity === id);
  const card = cards.value[id] ?? fetched.value?.card;
  useEffect(() => {
    if (!bundle || card) return;
    fetchCard(bundle)
      .then((read) => {
        learnLabels(read.card);
        fetched.value = read;
      })
      .catch(() => undefined); // without a connection there is nothing to show
  }, [bundle?.identity]);
  if (!bundle || !card)
    return (
      <div class="page device">
        <h1>{t("frame.model")}</h1>
        <p class="soft">{t("device.no-card")}</p>
        <p>
          <a href="#/networks">{t("device.networks")}</a>
        </p>
      </div>
    );
  const model = modelOf(bundle, card, (cards.value[id] ? facts.value[id] : fetched.value?.facts) ?? null);
  const one = card.findings?.length ? viewOfFinding(card, card.findings[0]?.name ?? "") : card;
  const parts = [
    ["purpose", <Purpose key="p" model={model} card={card} />],
    ["limits", <Limits key="l" card={card} />],
    ["figures", <Figures key="f" model={model} card={one} />],
    ["decisions", <Decisions key="d" card={one} />],
    ["scores", <Scores key="s" card={one} />],
    ["origin", <Origin key="o" card={card} />],
    ["evidence", <Evidence key="e" model={model} />],
  ] as const;
  return (
    <article class="page model device">
      <p class="small">
        <a href="#/networks">{t("device.networks")}</a>
      </p>
      <h1>{bundleName(bundle)}</h1>
      <ModelBadges model={model} />
      <p class="lead">
        <Said by="card" text={card.summary} />
      </p>
      <ModelWarnings model={model} card={card} />
      <ModelSummary model={model} card={card} />
      <h2>{t("device.resources")}</h2>
      <p>{t("device.download-size", { size: formatSize(sizeOf(bundle)), sha: bundle.model.sha256.slice(0, 12) })}</p>
      <Resources open />
      {cards.value[id] && (
        <details class="device-part">
          <summary>{t("device.certificate")}</summary>
          <CertificateRun bundle={bundle} />
        </details>
      )}
      {parts.map(([name, content]) => (
        <details key={name} class="device-part">
          <summary>{t(`model.sec.${name}`)}</summary>
          {content}
        </details>
      ))}
    </article>
  );
}
