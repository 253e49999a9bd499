// The disclaimer. It is always visible: nothing dims it, and dialogs open below it.
import { useEffect, useRef } from "preact/hooks";
import { DISCLAIMER } from "../disclaimer";

/** The disclaimer beneath the header. It wraps on a phone, so its lower edge is measured (`--below` in the CSS). */
export function Disclaimer() {
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = box.current as HTMLElement;
    const head = document.querySelector<HTMLElement>(".frame-head");
    const measure = () => {
      const end = (head?.offsetHeight ?? 0) + element.offsetHeight;
      document.documentElement.style.setProperty("--below", `${end}px`);
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    if (head) observer.observe(head);
    return () => observer.disconnect();
  }, []);
  return (
    <aside ref={box} class="disclaimer" lang="en" aria-label="Research software">
      {DISCLAIMER}
    </aside>
  );
}
