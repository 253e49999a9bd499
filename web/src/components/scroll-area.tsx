// Content wider than the page scrolls in its own box. Only then must the keyboard be able to reach the box.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A box that scrolls sideways if its content does not fit; `label` names the content. */
export function ScrollArea({ label, children }: { label: string; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const overflows = useSignal(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      overflows.value = element.scrollWidth > element.clientWidth;
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, [overflows]);
  const focusable = { role: "region", "aria-label": label, tabIndex: 0 } as const;
  return (
    <div class="scroll" ref={box} {...(overflows.value ? focusable : {})}>
      {children}
    </div>
  );
}
