// Sensitivity and specificity, only against a reference standard, and how many of the studies have one.

import { asShare, Intervals, type Row } from "../../components/estimate";
import { number, t, word } from "../../i18n";
import { Shares } from "./charts";
import type { Figures } from "./dashboard-page";

const JUDGES = ["model", "model_refused_negative", "unaided", "aided"] as const;

/** How many of the studies read have a reference standard, all together and by what the model had said. */
export function Verified({ figures: { counts, verification } }: { figures: Figures }) {
  const answers = Object.entries(verification.by_answer).filter(([, share]) => share.studies > 0);
  const standards = Object.entries(verification.by_standard);
  return (
    <>
      <h3>{t("dash.verified")}</h3>
      <Shares
        caption={t("dash.verified")}
        rows={[
          {
            key: "all",
            name: t("dash.verified-all"),
            part: verification.verified,
            whole: counts.studies,
            says: asShare(verification.share),
          },
          ...answers.map(([answer, share]) => ({
            key: answer,
            name: t("dash.verified-where", { answer: word("dash.answer", answer) }),
            part: share.verified,
            whole: share.studies,
            says: "",
          })),
        ]}
      />
      {standards.length > 0 && (
        <p class="soft small">
          {standards.map(([standard, count]) => `${word("dash.standard", standard)}: ${number(count, 0)}`).join(", ")}
        </p>
      )}
    </>
  );
}

export function Accuracies({ figures: { accuracy, verification } }: { figures: Figures }) {
  if (verification.verified === 0) return <p>{t("dash.no-reference")}</p>;
  const rows = (figure: "sensitivity" | "specificity"): Row[] =>
    JUDGES.flatMap((judge) => {
      const found = accuracy[judge];
      if (!found || found.positives + found.negatives === 0) return [];
      const [part, whole] =
        figure === "sensitivity"
          ? [found.hits, found.positives]
          : [found.negatives - found.false_alarms, found.negatives];
      const hint = t("dash.of", { part: number(part, 0), whole: number(whole, 0) });
      return [{ key: judge, name: t(`dash.judge.${judge}`), hint, estimate: found[figure] }];
    });
  return (
    <>
      {(["sensitivity", "specificity"] as const).map((figure) => (
        <div key={figure}>
          <h3>{t(`model.metric.${figure}`)}</h3>
          <p class="soft small">{t(`dash.${figure}-is`)}</p>
          <Intervals caption={t(`model.metric.${figure}`)} rows={rows(figure)} say={asShare} />
        </div>
      ))}
    </>
  );
}
