// The dashboard: what reads, answers and reference results add up to on this server, and how the server runs. Agreement
// is not accuracy: only studies with a reference standard show who was right, so their number comes first.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, body, me } from "../../api/client";
import { ConfirmDialog } from "../../components/dialog";
import { type Estimate, formatShare } from "../../components/estimate";
import { ProblemNote } from "../../components/problem";
import { formatNumber, labelName, language, t } from "../../i18n";
import { href } from "../../router";
import { AccuracyTables, Verification } from "./accuracy";
import { AgreementTables } from "./agreement";
import { listCaveats } from "./caveats";
import { FindingCounts } from "./finding-counts";
import { listModelOptions } from "./model-options";
import { ReadChanges, ReaderTable } from "./readers";
import type { DashboardReport, SiteFigures } from "./types";
import "./dashboard.css";

export default function DashboardPage() {
  const report = useSignal<DashboardReport | null>(null);
  const problem = useSignal<unknown>(null);
  const model = useSignal("");
  const finding = useSignal("");
  const from = useSignal("");
  const to = useSignal("");
  const all = useSignal(false);
  const confirming = useSignal(false);
  const tries = useSignal(0);
  useEffect(() => {
    let cancelled = false;
    const query = {
      ...(model.value && { model: model.value }),
      ...(finding.value && { finding: finding.value }),
      ...(from.value && { from: from.value }),
      ...(to.value && { to: to.value }),
      scope: all.value ? ("all" as const) : ("own" as const),
    };
    body(api.GET("/api/dashboard", { params: { query } })).then(
      (answer) => {
        if (cancelled) return;
        report.value = answer;
        problem.value = null;
      },
      (error: unknown) => {
        if (!cancelled) problem.value = error;
      },
    );
    return () => {
      cancelled = true;
    };
  }, [model.value, finding.value, from.value, to.value, all.value, tries.value]);
  const current = report.value;
  return (
    <div class="page dash">
      <h1>{t("nav.dashboard")}</h1>
      <search class="inline">
        <label class="field">
          <span>{t("dash.model")}</span>
          <select
            value={model.value || current?.model?.id || ""}
            onChange={(event) => {
              model.value = event.currentTarget.value;
              finding.value = "";
            }}
          >
            {current?.models.length === 0 && <option value="">{t("dash.no-model")}</option>}
            {listModelOptions(current?.models ?? []).map(({ id, text }) => (
              <option key={id} value={id}>
                {text}
              </option>
            ))}
          </select>
        </label>
        {current && current.findings.length > 0 && (
          <label class="field">
            <span>{t("panel.finding")}</span>
            <select
              value={current.figures?.primary ?? ""}
              onChange={(event) => {
                finding.value = event.currentTarget.value;
              }}
            >
              {current.findings.map((label) => (
                <option key={label} value={label}>
                  {labelName(label)}
                </option>
              ))}
            </select>
          </label>
        )}
        <DayField
          label={t("work.from")}
          value={from.value}
          set={(day) => {
            from.value = day;
          }}
        />
        <DayField
          label={t("work.to")}
          value={to.value}
          set={(day) => {
            to.value = day;
          }}
        />
        {me.value?.role === "admin" && (
          <label class="check">
            <input
              type="checkbox"
              checked={all.value}
              onChange={(event) => {
                if (!event.currentTarget.checked) all.value = false;
                else {
                  event.currentTarget.checked = false; // the box is checked only after the confirmation
                  confirming.value = true;
                }
              }}
            />
            {t("dash.all")}
          </label>
        )}
      </search>
      {confirming.value && (
        <ConfirmDialog
          title={t("dash.all-title")}
          confirmLabel={t("dash.all-do")}
          onConfirm={async () => {
            all.value = true;
          }}
          onClose={() => {
            confirming.value = false;
          }}
        >
          <p>{t("dash.all-what")}</p>
        </ConfirmDialog>
      )}
      {problem.value !== null && <ProblemNote error={problem.value} onRetry={() => tries.value++} />}
      {!current && problem.value === null && <p class="soft">{t("app.loading")}</p>}
      {current && <Report report={current} scope={all.value ? "all" : "own"} />}
    </div>
  );
}

function DayField({ label, value, set }: { label: string; value: string; set: (day: string) => void }) {
  return (
    <label class="field">
      <span>{label}</span>
      <input type="date" value={value} onChange={(event) => set(event.currentTarget.value)} />
    </label>
  );
}

function Report({ report, scope }: { report: DashboardReport; scope: "own" | "all" }) {
  const { figures } = report;
  return (
    <>
      <p class="soft small">
        {language.value === "en" ? report.scope_words : t(`dash.scope-${scope}`)}{" "}
        {t("dash.counted", { counted: formatNumber(report.counted, 0), rest: formatNumber(report.not_counted, 0) })}
      </p>
      {figures && figures.counts.studies > 0 ? (
        <>
          <Headline report={report} />
          <Warnings figures={figures} />
          <section class="sheet" aria-labelledby="dash-accuracy">
            <h2 id="dash-accuracy">{t("dash.accuracy", { label: labelName(figures.primary) })}</h2>
            <Verification figures={figures} />
            <AccuracyTables figures={figures} />
          </section>
          <section class="sheet" aria-labelledby="dash-agreement">
            <h2 id="dash-agreement">{t("dash.agreement")}</h2>
            <AgreementTables figures={figures} />
          </section>
          <section class="sheet" aria-labelledby="dash-changes">
            <h2 id="dash-changes">{t("dash.changes")}</h2>
            <ReadChanges figures={figures} />
          </section>
          {figures.by_finding && figures.by_finding.length > 0 && (
            <section class="sheet" aria-labelledby="dash-findings">
              <h2 id="dash-findings">{t("dash.by-finding")}</h2>
              <FindingCounts figures={figures} />
            </section>
          )}
          {figures.by_reader.length > 0 && (
            <section class="sheet" aria-labelledby="dash-readers">
              <h2 id="dash-readers">{t("dash.by-reader")}</h2>
              <ReaderTable readers={figures.by_reader} />
            </section>
          )}
        </>
      ) : (
        <p class="empty">{t("dash.none")}</p>
      )}
      <p>
        <a href={href.operations()}>{t("dash.operations")}</a>
      </p>
    </>
  );
}

/** The four figures to see first. A figure that can't be estimated has no tile. */
function Headline({ report: { figures, refused } }: { report: DashboardReport }) {
  if (!figures) return null;
  const { counts, verification, model_and_unaided: agreement } = figures;
  const tiles: [string, string, Estimate | null][] = [
    [t("dash.tile.read"), formatNumber(counts.studies, 0), null],
    [t("dash.tile.verified"), formatNumber(verification.verified, 0), verification.share],
    [t("dash.tile.agree"), "", agreement.pairs > 0 ? agreement.observed : null],
    [t("dash.tile.silent"), "", refused ?? null],
  ];
  return (
    <dl class="tiles">
      {tiles
        .filter(([, text, estimate]) => text !== "" || (estimate !== null && estimate.value !== null))
        .map(([name, text, estimate]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {text} <TileShare estimate={estimate} isMain={text === ""} />
            </dd>
          </div>
        ))}
    </dl>
  );
}

/** A share in a tile: its interval is small, and so is a share that stands beside a count. */
function TileShare({ estimate, isMain }: { estimate: Estimate | null; isMain: boolean }) {
  if (!estimate || estimate.value === null) return null;
  const [value, interval] = formatShare(estimate).split(/ (?=\[)/);
  if (!isMain)
    return (
      <span class="small soft">
        {value} {interval}
      </span>
    );
  return (
    <>
      {value} <span class="small soft">{interval}</span>
    </>
  );
}

function Warnings({ figures }: { figures: SiteFigures }) {
  const translated = language.value === "en" ? null : listCaveats(figures);
  const [first, ...rest] = translated?.map(({ key, values }) => t(key, values)) ?? figures.warnings;
  return (
    <div class="note" lang={translated ? undefined : "en"}>
      {first && (
        <p>
          <strong>{first}</strong>
        </p>
      )}
      {rest.length > 0 && (
        <ul>
          {rest.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
    </div>
  );
}
