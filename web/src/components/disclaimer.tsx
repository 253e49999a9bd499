// The sentence that says what this software is not. It is always to be seen: nothing dims it, and dialogs lie below it.
import { useEffect, useRef } from "preact/hooks";
import { DISCLAIMER } from "../disclaimer";

/** The sentence, beneath the head of the page. The style sheets know where it ends as `--below`: it wraps on a phone. */
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
