// The report out of the page: copied as text, or printed (a browser's print dialog also saves a PDF). It holds the
// reader's newest report and the answers that the reader has been shown.
import { useSignal } from "@preact/signals";
import { me } from "../../api/client";
import { modelName } from "../../api/models";
import type { Prediction, Read } from "../../api/types";
import { showToast } from "../../components/toast";
import { DISCLAIMER } from "../../disclaimer";
import { formatDateTime, labelName, t, translateTerm } from "../../i18n";
import { studyName } from "../worklist/patient-names";
import { answerWord } from "./answer-table";
import { splitAnswers } from "./predictions";
import { readerTerm } from "./reader-term";
import { mayShowAnswers } from "./reading-phase";
import { formatReport } from "./report-text";
import { formatScore } from "./score-details";
import type { StudyStore } from "./study-store";

export function ReportOut({ store }: { store: StudyStore }) {
  const printed = useSignal<string | null>(null);
  const newest = newestReads(store);
  if (newest.length === 0) return null;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(reportText(store, newest));
      showToast(t("out.copied"));
    } catch {
      showToast(t("account.copy-failed"), true);
    }
  };
  const print = () => {
    printed.value = reportText(store, newest);
    requestAnimationFrame(() => {
      globalThis.print();
      printed.value = null;
    });
  };
  return (
    <div class="report-out">
      <button type="button" onClick={() => void copy()}>
        {t("out.copy")}
      </button>
      <button type="button" onClick={print}>
        {t("out.print")}
      </button>
      {printed.value !== null && <pre class="print-only">{printed.value}</pre>}
    </div>
  );
}

/** The reader's final report with its addenda, else the newest version that was saved. */
function newestReads(store: StudyStore): Read[] {
  const own = store.reads.value.filter((read) => read.reader === me.value?.id);
  const sorted = [...own].sort((a, b) => a.version - b.version);
  const final = sorted.findLastIndex((read) => read.state === "final");
  return final < 0 ? sorted.slice(-1) : sorted.slice(final);
}

function reportText(store: StudyStore, reads: Read[]): string {
  const study = store.open.study.value;
  const facts = study.images[0]?.facts ?? {};
  const answers = mayShowAnswers(store.phase.value) ? store.open.predictions.value : [];
  const lines = study.images.flatMap((image, place) =>
    splitAnswers(answers, image.id).newest.flatMap((one) => {
      const of = study.images.length > 1 ? `${t("panel.image-n", { n: place + 1 })}, ` : "";
      return [`${of}${modelName(one.model)}: ${answerWord(one)}`, ...listFindings(one)];
    }),
  );
  return formatReport({
    title: t("out.title"),
    patient: studyName(study),
    received: t("view.received", { when: formatDateTime(study.received) }),
    study: `${t("panel.number")}: ${study.id}`,
    image: [
      [facts.modality, facts.view && translateTerm("work.view", facts.view)].filter(Boolean).join(", ") ||
        t("work.unknown-view"),
    ],
    sections: [
      ...reads.map((read) => ({
        heading: `${t(`read.stage-${read.stage}`)}, ${t(`read.state-${read.state}`)} (${formatDateTime(read.at)})`,
        lines: [
          read.conclusion ? `${t("read.conclusion")}: ${readerTerm(read.conclusion)}` : "",
          ...Object.entries(read.likelihoods).map(
            ([label, value]) => `${readerTerm(label)}: ${t("read.of-100", { n: Math.round(value * 100) })}`,
          ),
          read.text,
        ],
      })),
      { heading: t("out.models"), lines },
    ],
    disclaimer: DISCLAIMER,
  });
}

/** A line for each finding of a multi-label model's answer; none where it gave no answer. */
function listFindings({ result, model_off: off }: Prediction): string[] {
  if (off || result?.refused) return [];
  return (result?.findings ?? []).map(({ label, probability, named, operating_point: { threshold } }) => {
    const values = { score: formatScore(probability, threshold), threshold: formatScore(threshold, probability) };
    return `  ${labelName(label)}: ${t(named ? "out.named" : "out.not-named", values)}`;
  });
}
