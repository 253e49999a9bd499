// The title of each page: screen readers announce it first, and the tab and the history show it.
import { useEffect, useLayoutEffect } from "preact/hooks";

/** Set the document's title while a page is shown. */
export function usePageTitle(title: string): void {
  useEffect(() => setDocumentTitle(title), [title]);
}

/** Set the document's title by the kind of page; the page may set a more precise one. */
export function useDefaultTitle(title: string): void {
  useLayoutEffect(() => setDocumentTitle(title), [title]);
}

function setDocumentTitle(title: string): void {
  document.title = title ? `${title} · Pneumoscope` : "Pneumoscope";
}
