// The disclaimer. It is always visible: nothing dims it, and dialogs open below it.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { DISCLAIMER } from "../disclaimer";
import { language, t } from "../i18n";
import { Icon } from "./icons";

/** The disclaimer beneath the header. It wraps on a phone, so its lower edge is measured (`--below` in the CSS). */
export function Disclaimer() {
  const box = useRef<HTMLElement>(null);
  /** On a phone it is one line, which opens. */
  const open = useSignal(false);
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
    <aside ref={box} class="disclaimer" data-open={open.value} aria-label={t("frame.research")}>
      {language.value !== "en" && <p>{t("frame.disclaimer")}</p>}
      <p lang="en">{DISCLAIMER}</p>
      <button
        type="button"
        class="bare"
        aria-expanded={open.value}
        aria-label={t("frame.read-all")}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        <Icon name="more" />
      </button>
    </aside>
  );
}
