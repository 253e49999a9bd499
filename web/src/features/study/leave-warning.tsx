// What was typed and not sent is kept in memory; whoever goes elsewhere is still asked first, whichever way they go.
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Confirm } from "../../components/dialog";
import { t } from "../../i18n";

/** Ask before links are followed while something is unsent. Before the tab is closed ui/drafts.ts has it asked. */
export function useLeaving(dirty: ReadonlySignal<boolean>) {
  const to = useSignal<string | null>(null);
  useEffect(() => {
    const following = (event: MouseEvent) => {
      const link = (event.target as Element | null)?.closest?.("a[href^='#/']");
      const away = link?.getAttribute("href");
      const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0;
      if (!away || !dirty.value || elsewhere || link?.getAttribute("target")) return;
      event.preventDefault();
      event.stopPropagation();
      to.value = away;
    };
    document.addEventListener("click", following, true);
    return () => document.removeEventListener("click", following, true);
  }, [dirty, to]);
  if (to.value === null) return null;
  return (
    <Confirm
      title={t("read.leave")}
      doIt={t("read.leave-do")}
      act={async () => {
        location.hash = to.value ?? "";
      }}
      onClose={() => {
        to.value = null;
      }}
    >
      <p>{t("read.leave-words")}</p>
    </Confirm>
  );
}
