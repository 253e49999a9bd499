// A refusal in the page's language, or in the server's own words, with the number under which its log has more.
import { Problem, type Refusal } from "../api/client";
import { findMessage, t } from "../i18n";

interface Props {
  error: unknown;
  onRetry?: () => void;
  /** Word of the button that tries again. */
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

/** Why something was refused, as a sentence or two. */
export function ProblemText({ refusal }: { refusal: Refusal }) {
  const { text, lang } = problemText(refusal);
  return <span lang={lang}>{text}</span>;
}

export interface LocalizedText {
  text: string;
  /** Where it is not the page's. */
  lang: "en" | undefined;
}

/** Return a refusal in words: the page's message for its code, the one for its very kind or reason first. */
export function problemText({ key, values, message }: Refusal): LocalizedText {
  const keys = [`${key}.${values.kind ?? values.reason}`, key, key.replace("problem", "file")]; // an upload may be its only file
  for (const one of keys) {
    const text = findMessage(one, values);
    if (text !== null) return { text, lang: undefined };
  }
  // "the store is full: nothing was accepted." begins with a capital
  return { text: message.charAt(0).toUpperCase() + message.slice(1), lang: "en" };
}

/** Return whatever was thrown as a refusal. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof Problem) return error;
  return { key: "", values: {}, message: error instanceof Error ? error.message : String(error) };
}
