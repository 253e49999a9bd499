// Why something did not work here, in the page's language.
import { DeviceProblem } from "../../device/engine";
import { DownloadProblem } from "../../device/store";
import { findMessage, type Key, language, t } from "../../i18n";

/** `file`: the name of the file that it is about. */
export function DeviceProblemNote({ error, file }: { error: unknown; file?: string | undefined }) {
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{t("frame.problem")}</strong> {file && `${file}: `}
        {describe(error)}
      </p>
    </div>
  );
}

/** Return a problem in the page's language. */
export function describe(error: unknown): string {
  if (error instanceof DownloadProblem) {
    const words = `${t(`device.download.${error.kind}` as Key)} (${error.message})`;
    if (error.kept === null) return words;
    const names = error.kept.join(", ");
    return `${words} ${names ? t("device.broken-off", { names }) : t("device.broken-off-none")}`;
  }
  if (error instanceof DeviceProblem) {
    const { code, values } = error;
    const kind = typeof values.kind === "string" ? findMessage(`file.${code}.${values.kind}`, values) : null;
    // What is read here is less than what the server reads.
    const words = kind ?? findMessage(`device.file.${code}`, values) ?? findMessage(`file.${code}`, values);
    // The detail is English. Beside an error that nobody foresaw it is all there is to go by.
    const detailed = language.value === "en" || code === "error";
    return words ? (detailed ? `${words} (${error.message})` : words) : error.message;
  }
  return error instanceof Error ? error.message : String(error);
}
