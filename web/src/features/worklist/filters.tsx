// The filters of the worklist. They are part of the page's address, so that bookmarks and the back button keep them.
import { me } from "../../api/client";
import { modelName, models } from "../../api/models";
import { t } from "../../i18n";
import { ownLabels } from "./own-labels";
import { namesShown } from "./patient-names";
import { type Filter, filter, NO_FILTER } from "./study-list";
import { TextSearch } from "./text-search";

export function hasFilter(filters: Filter): boolean {
  return Object.values(filters).some((value) => value !== "");
}

export function Filters({ change }: { change: (filters: Filter) => void }) {
  const current = filter.value;
  const set = (part: Partial<Filter>) => change({ ...filter.value, ...part });
  const count = Object.values(current).filter((value) => value !== "").length;
  return (
    <details class="filters" open={count > 0 || matchMedia("(min-width: 44rem)").matches}>
      <summary>{count > 0 ? t("work.filtered", { count }) : t("work.filter")}</summary>
      <search class="filter-fields">
        <TextSearch set={change} />
        {current.patient !== "" && (
          <button
            type="button"
            class="bare label-chip"
            title={t("work.by-patient")}
            aria-label={t("work.any-patient")}
            onClick={() => set({ patient: "" })}
          >
            {t("work.patient-no", { number: current.patient.slice(0, 9) })} ×
          </button>
        )}
        {(ownLabels.value.length > 0 || current.label !== "") && (
          <label class="field">
            <span>{t("work.by-label")}</span>
            <select value={current.label} onChange={(event) => set({ label: event.currentTarget.value })}>
              <option value="">{t("work.any")}</option>
              {ownLabels.value.map(({ key, text, studies }) => (
                <option key={key} value={key}>
                  {text} ({studies})
                </option>
              ))}
            </select>
          </label>
        )}
        <label class="field">
          <span>{t("work.by-model")}</span>
          <select value={current.model} onChange={(event) => set({ model: event.currentTarget.value })}>
            <option value="">{t("work.any")}</option>
            {models.value?.map((model) => (
              <option key={model.id} value={model.id}>
                {modelName(model.id)}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>{t("work.by-state")}</span>
          <select value={current.state} onChange={(event) => set({ state: event.currentTarget.value })}>
            <option value="">{t("work.any")}</option>
            {(["queued", "running", "done", "failed"] as const).map((state) => (
              <option key={state} value={state}>
                {t(`state.${state}`)}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>{t("work.from")}</span>
          <input
            type="date"
            max={current.to || undefined}
            value={current.from}
            onChange={(event) => set({ from: event.currentTarget.value })}
          />
        </label>
        <label class="field">
          <span>{t("work.to")}</span>
          <input
            type="date"
            min={current.from || undefined}
            value={current.to}
            onChange={(event) => set({ to: event.currentTarget.value })}
          />
        </label>
        {count > 0 && (
          <button type="button" onClick={() => change(NO_FILTER)}>
            {t("work.clear")}
          </button>
        )}
        <label class="check">
          <input
            type="checkbox"
            checked={current.unread !== ""}
            onChange={(event) => set({ unread: event.currentTarget.checked ? "1" : "" })}
          />
          {t("work.unread")}
        </label>
        {me.value?.sees_names && (
          <label class="check">
            <input
              type="checkbox"
              checked={namesShown.value}
              onChange={(event) => {
                namesShown.value = event.currentTarget.checked;
              }}
            />
            {t("work.names")}
          </label>
        )}
      </search>
    </details>
  );
}
