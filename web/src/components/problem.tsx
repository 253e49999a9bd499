// A refusal in the page's language or in the server's text, with the number of the request in the server's log.
import { Problem, type Refusal } from "../api/client";
import { findMessage, t } from "../i18n";

interface Props {
  error: unknown;
  onRetry?: () => void;
  /** The label of the button that tries again. */
  retryLabel?: string;
}

export function ProblemNote({ error, onRetry, retryLabel }: Props) {
  const number = error instanceof Problem ? error.instance.split(":").pop() : "";
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{t("frame.problem")}</strong> <ProblemText refusal={toRefusal(error)} />
      </p>
      {number && <p class="small">{t("frame.request", { number })}</p>}
      {onRetry && (
        <p>
          <button type="button" onClick={onRetry}>
            {retryLabel ?? t("frame.again")}
          </button>
        </p>
      )}
    </div>
  );
}

/** The reason of a refusal in one or two sentences. */
export function ProblemText({ refusal }: { refusal: Refusal }) {
  const { text, lang } = problemText(refusal);
  return <span lang={lang}>{text}</span>;
}

interface LocalizedText {
  text: string;
  /** The language of the text if it is not the page's. */
  lang: "en" | undefined;
}

/** Return a refusal's text: the page's message for its code and kind, or for its code, else the server's text. */
export function problemText({ key, values, message }: Refusal): LocalizedText {
  // the problem of an upload may be that of its only file
  const keys = [`${key}.${values.kind ?? values.reason}`, key, key.replace("problem", "file")];
  for (const one of keys) {
    const text = findMessage(one, values);
    if (text !== null) return { text, lang: undefined };
  }
  // the server's text may begin in lower case: "the store is full: nothing was accepted."
  return { text: message.charAt(0).toUpperCase() + message.slice(1), lang: "en" };
}

/** Convert anything thrown to a refusal. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof Problem) return error;
  return { key: "", values: {}, message: error instanceof Error ? error.message : String(error) };
}
