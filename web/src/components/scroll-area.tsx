// What is wider than the page scrolls by itself; then, and only then, the keyboard must be able to reach it.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A box that scrolls sideways where its content does not fit; `label` says what is in it. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const over = useSignal(false);
  useEffect(() => {
    const watched = box.current;
    if (!watched) return;
    const look = () => {
      over.value = watched.scrollWidth > watched.clientWidth;
    };
    const observer = new ResizeObserver(look);
    observer.observe(watched);
    if (watched.firstElementChild) observer.observe(watched.firstElementChild);
    return () => observer.disconnect();
  }, [over]);
  const reached = { role: "region", "aria-label": label, tabIndex: 0 } as const;
  return (
    <div class="scroll" ref={box} {...(over.value ? reached : {})}>
      {children}
    </div>
  );
}
