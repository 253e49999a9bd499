// What just happened, said once: shown for a while in a corner, and read out by screen readers.
import { signal } from "@preact/signals";
import { t } from "../i18n";
import { Icon } from "./icons";

interface Note {
  number: number;
  text: string;
  bad: boolean;
  /** Of the text, where it is not the page's. */
  lang: string | undefined;
}

/** Milliseconds; what failed takes longer to read. */
const SHOWN = { good: 5000, bad: 8000 };
const notes = signal<Note[]>([]);
let count = 0;

/** Say that something happened; `bad` where it failed. What the reader must act on belongs on the page instead. */
export function say(text: string, bad = false, lang?: string): void {
  count += 1;
  const number = count;
  notes.value = [...notes.value.slice(-2), { number, text, bad, lang }];
  setTimeout(() => forget(number), bad ? SHOWN.bad : SHOWN.good);
}

function forget(number: number): void {
  notes.value = notes.value.filter((note) => note.number !== number);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {notes.value.map((note) => (
        <div key={note.number} class="toast" data-bad={note.bad}>
          <span lang={note.lang}>{note.text}</span>
          <button type="button" class="bare" aria-label={t("frame.close")} onClick={() => forget(note.number)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
