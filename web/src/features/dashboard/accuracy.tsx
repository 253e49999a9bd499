// Sensitivity and specificity, only against a reference standard, and how many of the studies have one.

import { formatShare, type IntervalRow, IntervalTable } from "../../components/estimate";
import { formatNumber, t, translateTerm } from "../../i18n";
import { ShareBars } from "./charts";
import type { SiteFigures } from "./types";

const JUDGES = ["model", "model_refused_negative", "unaided", "aided"] as const;

/** How many of the studies read have a reference standard, in total and by the model's answer. */
export function Verification({ figures: { counts, verification } }: { figures: SiteFigures }) {
  const answers = Object.entries(verification.by_answer).filter(([, share]) => share.studies > 0);
  const standards = Object.entries(verification.by_standard);
  return (
    <>
      <h3>{t("dash.verified")}</h3>
      <ShareBars
        caption={t("dash.verified")}
        rows={[
          {
            key: "all",
            name: t("dash.verified-all"),
            part: verification.verified,
            total: counts.studies,
            note: formatShare(verification.share),
          },
          ...answers.map(([answer, share]) => ({
            key: answer,
            name: t("dash.verified-where", { answer: translateTerm("dash.answer", answer) }),
            part: share.verified,
            total: share.studies,
            note: "",
          })),
        ]}
      />
      {standards.length > 0 && (
        <p class="soft small">
          {standards
            .map(([standard, count]) => `${translateTerm("dash.standard", standard)}: ${formatNumber(count, 0)}`)
            .join(", ")}
        </p>
      )}
    </>
  );
}

export function AccuracyTables({ figures: { accuracy, verification } }: { figures: SiteFigures }) {
  if (verification.verified === 0) return <p>{t("dash.no-reference")}</p>;
  const rows = (figure: "sensitivity" | "specificity"): IntervalRow[] =>
    JUDGES.flatMap((judge) => {
      const judged = accuracy[judge];
      if (!judged || judged.positives + judged.negatives === 0) return [];
      const [part, whole] =
        figure === "sensitivity"
          ? [judged.hits, judged.positives]
          : [judged.negatives - judged.false_alarms, judged.negatives];
      const hint = t("dash.of", { part: formatNumber(part, 0), whole: formatNumber(whole, 0) });
      return [{ key: judge, name: t(`dash.judge.${judge}`), hint, estimate: judged[figure] }];
    });
  return (
    <>
      {(["sensitivity", "specificity"] as const).map((figure) => (
        <div key={figure}>
          <h3>{t(`model.metric.${figure}`)}</h3>
          <p class="soft small">{t(`dash.${figure}-is`)}</p>
          <IntervalTable caption={t(`model.metric.${figure}`)} rows={rows(figure)} format={formatShare} />
        </div>
      ))}
    </>
  );
}
