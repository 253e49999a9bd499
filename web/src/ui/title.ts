// Every page has a title of its own: it is what a screen reader says first, and what a tab and the history show.
import { useEffect } from "preact/hooks";

/** Name the document after a page while it is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Pneumoscope` : "Pneumoscope";
  }, [title]);
}
