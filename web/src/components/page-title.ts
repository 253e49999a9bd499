// Every page has a title of its own: it is what a screen reader says first, and what a tab and the history show.
import { useEffect, useLayoutEffect } from "preact/hooks";

/** Name the document after a page while it is shown. */
export function usePageTitle(title: string): void {
  useEffect(() => setDocumentTitle(title), [title]);
}

/** Name the document after the kind of page, before the page itself may name it more closely. */
export function useDefaultTitle(title: string): void {
  useLayoutEffect(() => setDocumentTitle(title), [title]);
}

function setDocumentTitle(title: string): void {
  document.title = title ? `${title} · Pneumoscope` : "Pneumoscope";
}
