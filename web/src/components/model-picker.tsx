// The choice of models to ask, each with the facts that a reader must know first.
import type { Signal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { loadModels, modelName, models } from "../api/models";
import type { Model } from "../api/types";
import { t } from "../i18n";
import { href } from "../router";
import { ModelBadges } from "./badge";
import { findPatterns } from "./patterns";
import { ProblemNote } from "./problem";
import "./model-picker.css";

/** Checkboxes of all models. `selected` holds the identifiers of the checked ones, in the order of the list. */
export function ModelPicker({ selected, legend }: { selected: Signal<string[]>; legend: string }) {
  const problem = useSignal<unknown>(null);
  useEffect(() => {
    loadModels().catch((error: unknown) => {
      problem.value = error;
    });
  }, [problem]);
  const all = models.value;
  const pick = (id: string, checked: boolean) => {
    const selection = new Set(selected.value);
    if (checked) selection.add(id);
    else selection.delete(id);
    selected.value = (all ?? []).map((model) => model.id).filter((known) => selection.has(known));
  };
  return (
    <fieldset class="picker">
      <legend>{legend}</legend>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      {all?.length === 0 && <p class="soft">{t("model.none")}</p>}
      {all?.map((model) => (
        <ModelChoice key={model.id} model={model} checked={selected.value.includes(model.id)} pick={pick} />
      ))}
    </fieldset>
  );
}

function ModelChoice({
  model,
  checked,
  pick,
}: {
  model: Model;
  checked: boolean;
  pick: (id: string, checked: boolean) => void;
}) {
  const name = modelName(model.id);
  return (
    <div class="pick" data-on={checked}>
      <label>
        <input
          type="checkbox"
          checked={checked}
          disabled={!model.on && !checked}
          onChange={(event) => pick(model.id, event.currentTarget.checked)}
        />
        <span class="pick-words">
          <span class="pick-name">{name}</span>
          <span class="soft small">{t("model.looks-for", { labels: findPatterns(model).join(", ") })}</span>
          <ModelBadges model={model} />
        </span>
      </label>
      <a class="small" href={href.model(model.id)} aria-label={t("model.what-of", { name })}>
        {t("model.what")}
      </a>
    </div>
  );
}
