// Short messages about what just happened: shown in a corner for a while and announced by screen readers.
import { signal } from "@preact/signals";
import { t } from "../i18n";
import { Icon } from "./icons";

interface Toast {
  number: number;
  text: string;
  bad: boolean;
  /** The language of the text if it is not the page's. */
  lang: string | undefined;
}

/** Milliseconds; failures stay longer. */
const DURATION = { good: 5000, bad: 8000 };
const toasts = signal<Toast[]>([]);
let count = 0;

/** Show a message; `bad` marks a failure. Anything that the reader must act on belongs on the page instead. */
export function showToast(text: string, bad = false, lang?: string): void {
  count += 1;
  const number = count;
  toasts.value = [...toasts.value.slice(-2), { number, text, bad, lang }];
  setTimeout(() => dismiss(number), bad ? DURATION.bad : DURATION.good);
}

function dismiss(number: number): void {
  toasts.value = toasts.value.filter((note) => note.number !== number);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((note) => (
        <div key={note.number} class="toast" data-bad={note.bad}>
          <span lang={note.lang}>{note.text}</span>
          <button type="button" class="bare" aria-label={t("frame.close")} onClick={() => dismiss(note.number)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
