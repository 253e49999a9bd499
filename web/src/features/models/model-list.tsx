// The models of this server: what each looks for, and what must be known before it is asked.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { loadModels, modelName, models } from "../../api/models";
import type { Model } from "../../api/types";
import { ModelBadges } from "../../components/badge";
import { findPatterns } from "../../components/patterns";
import { ProblemNote } from "../../components/problem";
import { Said } from "../../components/said";
import { TermList } from "../../components/term-list";
import { t } from "../../i18n";
import { href } from "../../router";
import "./models.css";

export default function ModelListPage() {
  const problem = useSignal<unknown>(null);
  const load = () => {
    problem.value = null;
    loadModels(true).catch((error: unknown) => {
      problem.value = error;
    });
  };
  useEffect(load, []);
  return (
    <div class="page">
      <h1>{t("nav.models")}</h1>
      <p class="soft lead">{t("model.list-lead")}</p>
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={load} />}
      {models.value === null && problem.value === null && <p class="soft">{t("app.loading")}</p>}
      {models.value?.length === 0 && <p>{t("model.none")}</p>}
      <ul class="model-cards">
        {models.value?.map((model) => (
          <ModelCard key={model.id} model={model} />
        ))}
      </ul>
    </div>
  );
}

function ModelCard({ model }: { model: Model }) {
  return (
    <li class="sheet model-card" data-off={!model.on}>
      <h2>
        <a href={href.model(model.id)}>{modelName(model.id)}</a>
      </h2>
      <ModelBadges model={model} />
      <p>
        <Said by="card" text={model.summary} />
      </p>
      <dl>
        <dt>{t("model.looks")}</dt>
        <dd>{findPatterns(model).join(", ")}</dd>
        <dt>{t("model.not-looks")}</dt>
        <dd>
          <TermList terms={model.not_looked_for} />
        </dd>
      </dl>
    </li>
  );
}
