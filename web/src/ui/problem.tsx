// A refusal, as the server words it (what, which rule, the way out), with the number under which its log has more.
import { Problem } from "../api/client";
import { t } from "../i18n";

interface Props {
  error: unknown;
  again?: () => void;
  /** Word of the button that tries again. */
  word?: string;
}

export function ProblemNote({ error, again, word }: Props) {
  const problem = error instanceof Problem ? error : null;
  const number = problem?.instance.split(":").pop();
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{t("frame.problem")}</strong>{" "}
        <span lang="en">{problem ? sentence(problem) : error instanceof Error ? error.message : String(error)}</span>
      </p>
      {number && <p class="small">{t("frame.request", { number })}</p>}
      {again && (
        <p>
          <button type="button" onClick={again}>
            {word ?? t("frame.again")}
          </button>
        </p>
      )}
    </div>
  );
}

/** Return a problem as a sentence: "the store is full: nothing was accepted." begins with a capital. */
export function sentence(problem: Problem): string {
  const text = `${problem.title} ${problem.detail}`.trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
