// The help for pointer, touch and keys. The shortcuts can be switched off (WCAG 2.2, 2.1.4).
import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../../i18n";
import { IN_VIEWPORT, SHORTCUTS } from "./keyboard";
import type { ViewerStore } from "./viewer-store";

export function HelpDialog({ store, shortcuts }: { store: ViewerStore; shortcuts: Signal<boolean> }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (store.helpOpen.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [store.helpOpen.value]);
  return (
    <dialog
      class="view-help"
      ref={dialog}
      aria-labelledby="view-help-title"
      onClose={() => {
        store.helpOpen.value = false;
      }}
    >
      <h2 id="view-help-title">{t("view.help")}</h2>
      <p>{t("view.help.pointer")}</p>
      <p>{t("view.help.touch")}</p>
      <label>
        <input
          type="checkbox"
          checked={shortcuts.value}
          onChange={(event) => {
            shortcuts.value = event.currentTarget.checked;
          }}
        />{" "}
        {t("view.help.on")}
      </label>
      <h3>{t("view.help.anywhere")}</h3>
      <dl>
        {SHORTCUTS.map(({ key, label: does }) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(does)}</dd>
          </div>
        ))}
      </dl>
      <h3>{t("view.help.viewport")}</h3>
      <dl>
        {IN_VIEWPORT.map(([keys, does]) => (
          <div key={does}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{t(does)}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit" class="primary">
          {t("view.help.close")}
        </button>
      </form>
    </dialog>
  );
}
