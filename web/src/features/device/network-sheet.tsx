// The sheet in which networks are chosen.
import { useEffect } from "preact/hooks";
import { Dialog } from "../../components/dialog";
import { findPatterns } from "../../components/patterns";
import { t } from "../../i18n";
import { bundleName, choose, chosen, classifiers, keptSize } from "./device-state";
import { formatSize } from "./size";

export function NetworkSheet({ onClose }: { onClose: () => void }) {
  useEffect(() => {
    // A link in the sheet shows another page.
    addEventListener("hashchange", onClose);
    return () => removeEventListener("hashchange", onClose);
  }, []);
  const pick = (identity: string, on: boolean) => {
    const wanted = new Set(chosen.value);
    if (on) wanted.add(identity);
    else wanted.delete(identity);
    const all = classifiers()
      .map((bundle) => bundle.identity)
      .filter((one) => wanted.has(one));
    if (all.length) choose(all);
  };
  return (
    <Dialog title={t("device.choose")} onClose={onClose}>
      {classifiers().map((bundle) => {
        const checked = chosen.value.includes(bundle.identity);
        return (
          <div class="pick" key={bundle.identity} data-on={checked}>
            <label>
              <input
                type="checkbox"
                checked={checked}
                disabled={checked && chosen.value.length === 1}
                onChange={(event) => pick(bundle.identity, event.currentTarget.checked)}
              />
              <span class="pick-words">
                <span class="pick-name">{bundleName(bundle)}</span>
                <span class="soft small">{t("model.looks-for", { labels: findPatterns(bundle).join(", ") })}</span>
              </span>
            </label>
            <a class="small" href={`#/networks/${bundle.identity}`}>
              {t("model.what")}
            </a>
          </div>
        );
      })}
      <p class="small soft">
        <a href="#/networks">{t("device.manage", { size: formatSize(keptSize()) })}</a>
      </p>
      <div class="actions">
        <button type="button" class="primary" onClick={onClose}>
          {t("device.done")}
        </button>
      </div>
    </Dialog>
  );
}
