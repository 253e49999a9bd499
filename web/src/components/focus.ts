// After a change of page the focus moves to its heading, as with a new document: screen readers announce the page.
import { effect } from "@preact/signals";
import { me } from "../api/client";
import { route } from "../router";

/** Return whether an element takes typed text, so that single keys are no shortcuts there. */
export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      target.matches("input:not([type=range], [type=checkbox], [type=radio]), textarea, select") ||
      target.closest("dialog") !== null)
  );
}

/** Milliseconds to wait for a heading; then the main element gets the focus. */
const PATIENCE = 3000;

/** Move the focus at every change of page until the returned function is called; not when the app opens. */
export function focusOnChange(): () => void {
  let previous: string | null = null;
  return effect(() => {
    const current = me.value ? JSON.stringify(route.value) : "login";
    if (previous !== null && previous !== current) {
      scrollTo(0, 0);
      focusHeading();
    }
    previous = current;
  });
}

/** Move the focus to the page's heading, once it is there. */
export function focusHeading(): void {
  const main = document.querySelector<HTMLElement>("main");
  if (!main) return;
  const previousHeading = main.querySelector("h1");
  const deadline = Date.now() + PATIENCE;
  const tryFocus = () => {
    const heading = main.querySelector("h1");
    if (heading && (heading !== previousHeading || Date.now() > deadline - PATIENCE + 50)) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    } else if (Date.now() > deadline) main.focus({ preventScroll: true });
    else requestAnimationFrame(tryFocus);
  };
  requestAnimationFrame(tryFocus);
}
