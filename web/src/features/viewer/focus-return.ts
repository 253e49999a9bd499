// After a control of the page was used with the pointer, the focus returns to the image, so that the keys work there.
// A control that is used with the keyboard keeps the focus (WCAG 2.2, 3.2.2).

/** Controls whose value a pointer sets at once. Fields of forms keep the focus: the user goes on typing there. */
const CONTROLS = "select, input[type=checkbox], input[type=range]";

/** Return the focus to the image after a control was used with the pointer, until the returned function is called. */
export function returnFocus(viewer: HTMLElement): () => void {
  let byPointer = false;
  const onPointer = () => {
    byPointer = true;
  };
  const onKey = () => {
    byPointer = false;
  };
  const onChange = ({ target }: Event) => {
    if (!byPointer || !(target instanceof HTMLElement)) return;
    if (!target.matches(CONTROLS) || target.closest("form, dialog, header.frame-head")) return;
    viewer.querySelector<HTMLElement>(".view-screen")?.focus({ preventScroll: true });
  };
  document.addEventListener("pointerdown", onPointer, true);
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("change", onChange);
  return () => {
    document.removeEventListener("pointerdown", onPointer, true);
    document.removeEventListener("keydown", onKey, true);
    document.removeEventListener("change", onChange);
  };
}
