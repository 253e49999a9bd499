// What was typed and not sent is kept in memory; whoever goes elsewhere is still asked first, whichever way they go.
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ConfirmDialog } from "../../components/dialog";
import { t } from "../../i18n";

/** Ask before links are followed while something is unsent. Before the tab is closed ui/drafts.ts has it asked. */
export function useLeaveWarning(dirty: ReadonlySignal<boolean>) {
  const target = useSignal<string | null>(null);
  useEffect(() => {
    const onLinkClick = (event: MouseEvent) => {
      const link = (event.target as Element | null)?.closest?.("a[href^='#/']");
      const address = link?.getAttribute("href");
      const newTab = event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0;
      if (!address || !dirty.value || newTab || link?.getAttribute("target")) return;
      event.preventDefault();
      event.stopPropagation();
      target.value = address;
    };
    document.addEventListener("click", onLinkClick, true);
    return () => document.removeEventListener("click", onLinkClick, true);
  }, [dirty, target]);
  if (target.value === null) return null;
  return (
    <ConfirmDialog
      title={t("read.leave")}
      confirmLabel={t("read.leave-do")}
      onConfirm={async () => {
        location.hash = target.value ?? "";
      }}
      onClose={() => {
        target.value = null;
      }}
    >
      <p>{t("read.leave-words")}</p>
    </ConfirmDialog>
  );
}
