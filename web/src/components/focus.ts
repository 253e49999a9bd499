// After a change of page the focus goes to its heading, as after a new document: a screen reader then says where one is.
import { effect } from "@preact/signals";
import { me } from "../api/client";
import { route } from "../router";

/** Milliseconds: a page that has no heading by then gives the focus to its whole content. */
const PATIENCE = 3000;

/** Move the focus at every change of page until the returned function is called; not when the app opens. */
export function focusOnChange(): () => void {
  let before: string | null = null;
  return effect(() => {
    const now = me.value ? JSON.stringify(route.value) : "login";
    if (before !== null && before !== now) {
      scrollTo(0, 0);
      focusHeading();
    }
    before = now;
  });
}

/** Move the focus to the page's heading, once it is there. */
export function focusHeading(): void {
  const main = document.querySelector<HTMLElement>("main");
  if (!main) return;
  const old = main.querySelector("h1");
  const end = Date.now() + PATIENCE;
  const look = () => {
    const heading = main.querySelector("h1");
    if (heading && (heading !== old || Date.now() > end - PATIENCE + 50)) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    } else if (Date.now() > end) main.focus({ preventScroll: true });
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
