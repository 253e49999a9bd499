// The description of one model, from its card and from what became known of it later: for a student and for a radiologist.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { cardOf } from "../../api/card";
import { api, body, me } from "../../api/client";
import { loadModels } from "../../api/models";
import type { ModelDetail } from "../../api/types";
import { ModelBadges } from "../../components/badge";
import { useTitle } from "../../components/page-title";
import { ProblemNote } from "../../components/problem";
import { t } from "../../i18n";
import { href } from "../../router";
import { Decisions } from "./decisions";
import { Details, Evidence } from "./evidence";
import { Figures } from "./figures";
import { Switches } from "./kill-switch";
import { Origin } from "./origin";
import { Limits, Purpose } from "./purpose";
import { Scores } from "./scores";
import { Section, Sections } from "./section";
import { Warnings } from "./warnings";
import "./models.css";

export default function ModelPage({ id }: { id: string }) {
  const model = useSignal<ModelDetail | null>(null);
  const problem = useSignal<unknown>(null);
  const load = async () => {
    try {
      model.value = await body(api.GET("/api/models/{model}", { params: { path: { model: id } } }));
      problem.value = null;
    } catch (error) {
      problem.value = error;
    }
  };
  useEffect(() => {
    void load();
  }, [id]);
  const found = model.value;
  useTitle(found ? `${found.name} ${found.version}` : t("frame.model"));
  if (!found && problem.value === null) return <p class="soft">{t("app.loading")}</p>;
  if (!found)
    return (
      <div class="page">
        <h1>{t("frame.model")}</h1>
        <ProblemNote error={problem.value} again={() => void load()} />
        <p>
          <a href={href.models()}>{t("model.all")}</a>
        </p>
      </div>
    );
  const card = cardOf(found);
  const switched = async () => {
    await load();
    await loadModels(true);
  };
  return (
    <article class="page model">
      <p class="small">
        <a href={href.models()}>{t("model.all")}</a>
      </p>
      <h1>
        {found.name} {found.version}
      </h1>
      <ModelBadges model={found} />
      <p class="lead" lang="en">
        {found.summary}
      </p>
      <Warnings model={found} card={card} />
      <div class="model-body">
        <Sections />
        <div>
          <Section id="purpose" title={t("model.sec.purpose")}>
            <Purpose model={found} card={card} />
          </Section>
          <Section id="limits" title={t("model.sec.limits")}>
            <Limits card={card} />
          </Section>
          <Section id="figures" title={t("model.sec.figures")}>
            <Figures model={found} card={card} />
          </Section>
          <Section id="decisions" title={t("model.sec.decisions")}>
            <Decisions card={card} />
          </Section>
          <Section id="scores" title={t("model.sec.scores")}>
            <Scores card={card} />
          </Section>
          <Section id="origin" title={t("model.sec.origin")}>
            <Origin card={card} />
          </Section>
          <Section id="evidence" title={t("model.sec.evidence")}>
            <Evidence model={found} />
          </Section>
          <Section id="details" title={t("model.sec.details")}>
            <Details model={found} card={card} />
          </Section>
          {me.value?.role === "admin" && (
            <Section id="switch" title={t("model.sec.switch")}>
              <Switches model={found} switched={switched} />
            </Section>
          )}
        </div>
      </div>
    </article>
  );
}
