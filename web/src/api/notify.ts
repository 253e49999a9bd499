// Notifications of the browser when an answer is ready and the page is not in sight, for users who ask for them. They
// name neither a patient nor an answer.
import { signal } from "@preact/signals";
import { t } from "../i18n";
import { keepPreference, readPreference } from "../preferences";
import { type Change, watch } from "./events";

const STORAGE_KEY = "pneumoscope.notify";

export const notifying = signal(readPreference(STORAGE_KEY) === "on" && isGranted());

function isGranted(): boolean {
  return "Notification" in globalThis && Notification.permission === "granted";
}

/** Switch notifications on or off. The browser asks the user once; without consent they stay off. */
export async function setNotifying(on: boolean): Promise<void> {
  const granted = on && "Notification" in globalThis && (await Notification.requestPermission()) === "granted";
  notifying.value = granted;
  keepPreference(STORAGE_KEY, granted ? "on" : "off");
}

/** Return whether a change is one to notify of: an answer that is ready while nobody looks at the page. */
export function isNews({ kind, state }: Change, hidden: boolean): boolean {
  return hidden && kind === "prediction" && state === "done";
}

/** Notify of answers until the returned function is called. Several answers replace one another. */
export function watchAnswers(): () => void {
  return watch((change) => {
    if (!notifying.value || !isNews(change, document.hidden)) return;
    const notice = new Notification(t("notify.ready"), { tag: "pneumoscope-answer" });
    notice.onclick = () => {
      focus();
      location.hash = `#/studies/${change.study}`;
    };
  });
}
