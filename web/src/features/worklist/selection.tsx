// The studies that an admin has selected in the worklist, to erase several at once.
import { effect, signal } from "@preact/signals";
import { me } from "../../api/client";
import type { Study } from "../../api/types";
import { Icon } from "../../components/icons";
import { formatNumber, t } from "../../i18n";

/** Null: nothing is being selected, and rows have no boxes. */
export const selection = signal<ReadonlySet<string> | null>(null);

effect(() => {
  if (me.value?.role !== "admin") selection.value = null;
});

function toggle(id: string): void {
  const selected = new Set(selection.value);
  if (!selected.delete(id)) selected.add(id);
  selection.value = selected;
}

/** The box of a row. */
export function SelectBox({ study, who }: { study: Study; who: string }) {
  if (selection.value === null) return null;
  return (
    <input
      type="checkbox"
      class="study-select"
      aria-label={t("work.select-of", { who })}
      checked={selection.value.has(study.id)}
      onChange={() => toggle(study.id)}
    />
  );
}

/** What is done with the selected studies. */
export function SelectionBar({ listed, erase }: { listed: readonly Study[]; erase: (studies: Study[]) => void }) {
  const selected = selection.value;
  if (selected === null) return null;
  const chosen = listed.filter(({ id }) => selected.has(id));
  return (
    <div class="selection-bar" role="toolbar" aria-label={t("work.select")}>
      <span role="status">{t("work.selected", { count: formatNumber(chosen.length, 0) })}</span>
      <button
        type="button"
        onClick={() => {
          selection.value = new Set(listed.map(({ id }) => id));
        }}
      >
        {t("work.select-all", { count: formatNumber(listed.length, 0) })}
      </button>
      <button type="button" class="danger" disabled={chosen.length === 0} onClick={() => erase(chosen)}>
        <Icon name="erase" /> {t("work.erase")}
      </button>
      <button
        type="button"
        onClick={() => {
          selection.value = null;
        }}
      >
        {t("work.select-end")}
      </button>
    </div>
  );
}
