// Unsaved text stays in memory, but the reader is asked before leaving the study by any link.
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ConfirmDialog } from "../../components/dialog";
import { t } from "../../i18n";

/** Ask before a link is followed while text is unsaved. api/drafts.ts asks before the tab is closed. */
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
