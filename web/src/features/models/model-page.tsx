// The page of one model, from its card and its evidence, for students and radiologists alike.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { cardOf, viewOfFinding } from "../../api/card";
import { api, body, me } from "../../api/client";
import { loadModels, models } from "../../api/models";
import type { ModelDetail } from "../../api/types";
import { ModelBadges } from "../../components/badge";
import { usePageTitle } from "../../components/page-title";
import { ProblemNote } from "../../components/problem";
import { Said } from "../../components/said";
import { t } from "../../i18n";
import { nameAmong } from "../../model-names";
import { href } from "../../router";
import { Decisions } from "./decisions";
import { Details, Evidence } from "./evidence";
import { Figures } from "./figures";
import { FindingsOverview } from "./findings-overview";
import { KillSwitch } from "./kill-switch";
import { ModelSummary } from "./model-summary";
import { Origin } from "./origin";
import { Limits, Purpose } from "./purpose";
import { Scores } from "./scores";
import { ModelSection, SectionLinks } from "./section";
import { ModelWarnings } from "./warnings";
import "./models.css";

export default function ModelPage({ id }: { id: string }) {
  const model = useSignal<ModelDetail | null>(null);
  const problem = useSignal<unknown>(null);
  /** Of a multi-label model: the finding that figures, decisions and scores are shown of. */
  const finding = useSignal<string | null>(null);
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
  const detail = model.value;
  const name = detail ? nameAmong(detail, models.value ?? []) : t("frame.model");
  usePageTitle(name);
  if (!detail && problem.value === null) return <p class="soft">{t("app.loading")}</p>;
  if (!detail)
    return (
      <div class="page">
        <h1>{t("frame.model")}</h1>
        <ProblemNote error={problem.value} onRetry={() => void load()} />
        <p>
          <a href={href.models()}>{t("model.all")}</a>
        </p>
      </div>
    );
  const whole = cardOf(detail);
  const several = (whole.findings ?? []).length > 0;
  const shown = finding.value ?? whole.findings?.[0]?.name ?? "";
  const card = several ? viewOfFinding(whole, shown) : whole;
  const reload = async () => {
    await load();
    await loadModels(true);
  };
  return (
    <article class="page model">
      <p class="small">
        <a href={href.models()}>{t("model.all")}</a>
      </p>
      <h1>{name}</h1>
      <ModelBadges model={detail} />
      <p class="lead">
        <Said by="card" text={detail.summary} />
      </p>
      {me.value?.role === "admin" && (
        <p>
          <a href={href.monitor(detail.id)}>{t("monitor.link")}</a>
        </p>
      )}
      <ModelWarnings model={detail} card={whole} />
      <ModelSummary model={detail} card={whole} />
      <div class="model-body">
        <SectionLinks />
        <div>
          <ModelSection id="purpose" title={t("model.sec.purpose")}>
            <Purpose model={detail} card={whole} />
          </ModelSection>
          <ModelSection id="limits" title={t("model.sec.limits")}>
            <Limits card={whole} />
          </ModelSection>
          <ModelSection id="figures" title={t("model.sec.figures")}>
            {several && (
              <FindingsOverview
                card={whole}
                shown={shown}
                onShow={(name) => {
                  finding.value = name;
                }}
              />
            )}
            <Figures model={detail} card={card} />
          </ModelSection>
          <ModelSection id="decisions" title={t("model.sec.decisions")}>
            <Decisions card={card} />
          </ModelSection>
          <ModelSection id="scores" title={t("model.sec.scores")}>
            <Scores card={card} />
          </ModelSection>
          <ModelSection id="origin" title={t("model.sec.origin")}>
            <Origin card={whole} />
          </ModelSection>
          <ModelSection id="evidence" title={t("model.sec.evidence")}>
            <Evidence model={detail} />
          </ModelSection>
          <ModelSection id="details" title={t("model.sec.details")}>
            <Details model={detail} card={whole} />
          </ModelSection>
          {me.value?.role === "admin" && (
            <ModelSection id="switch" title={t("model.sec.switch")}>
              <KillSwitch model={detail} onSwitched={reload} />
            </ModelSection>
          )}
        </div>
      </div>
    </article>
  );
}
