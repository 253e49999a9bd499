// The answers that this browser keeps. They hold no image.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ConfirmDialog } from "../../components/dialog";
import { DISCLAIMER } from "../../disclaimer";
import { findMessage, formatDateTime, labelName, t, translateTerm } from "../../i18n";
import { decisionText } from "../study/decision-text";
import { cards } from "./device-state";
import { type Entry, eraseAll, eraseEntry, exportEntries, listEntries } from "./history";
import { writeScore } from "./history-score";
import { saveFile } from "./save";

export function HistoryPage() {
  const entries = useSignal<Entry[] | null>(null);
  const erasing = useSignal(false);
  const load = async () => {
    entries.value = await listEntries();
  };
  useEffect(() => {
    void load();
  }, []);
  const all = entries.value;
  return (
    <div class="page device">
      <h1>{t("device.history")}</h1>
      <p class="note">{t("device.history-lead")}</p>
      {all?.length === 0 && <p class="soft">{t("device.history-none")}</p>}
      {all && all.length > 0 && (
        <>
          <div class="device-choose">
            <button type="button" onClick={() => saveFile(exportEntries(all, DISCLAIMER), "pneumoscope-device.json")}>
              {t("device.history-export")}
            </button>
            <button
              type="button"
              class="danger"
              onClick={() => {
                erasing.value = true;
              }}
            >
              {t("device.history-erase")}
            </button>
          </div>
          <ul class="device-history">
            {all.map((entry) => (
              <li key={entry.id} class="sheet">
                <Row entry={entry} onErase={() => void eraseEntry(entry.id).then(load)} />
              </li>
            ))}
          </ul>
        </>
      )}
      {erasing.value && (
        <ConfirmDialog
          title={t("device.history-erase")}
          confirmLabel={t("device.history-erase")}
          onConfirm={() => eraseAll().then(load)}
          onClose={() => {
            erasing.value = false;
          }}
        >
          <p>{t("device.history-erase-note", { count: all?.length ?? 0 })}</p>
        </ConfirmDialog>
      )}
    </div>
  );
}

function Row({ entry, onErase }: { entry: Entry; onErase: () => void }) {
  return (
    <>
      <p class="device-history-head">
        <strong>{entry.file}</strong>{" "}
        <span class="soft small">
          {formatDateTime(entry.at)}, {entry.width} × {entry.height}
        </span>
        <button type="button" class="bare" onClick={onErase} aria-label={t("device.erase-one", { name: entry.file })}>
          {t("device.erase")}
        </button>
      </p>
      {entry.answers.map((answer) => {
        const labels = entry.labels[answer.identity] ?? [];
        return (
          <p key={answer.identity}>
            <span class="soft">{entry.names[answer.identity]}:</span>{" "}
            {answer.refused
              ? `${t("panel.silent")} (${answer.codes.map((code) => translateTerm("refusal", code)).join(", ")})`
              : decisionText({ decision: answer.decision })}
            {!answer.refused && (
              <span class="soft small">
                {" "}
                {t("panel.score", { label: labelName(labels[0] ?? "") })}{" "}
                {writeScore(answer, cards.value[answer.identity])}
              </span>
            )}
            {answer.codes.includes("photograph-unmeasured") && (
              <strong> {findMessage("finding.photograph-unmeasured", {})}</strong>
            )}
          </p>
        );
      })}
    </>
  );
}
