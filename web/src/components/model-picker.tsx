// Which models to ask: one or several, each with what must be known before it is asked.
import type { Signal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { loadModels, models } from "../api/models";
import type { Model } from "../api/types";
import { t, word } from "../i18n";
import { href } from "../router";
import { ModelBadges } from "./badge";
import { ProblemNote } from "./problem";
import "./model-picker.css";

/** Checkboxes of all models of the server. `chosen` holds the numbers of those that are ticked, in the list's order. */
export function ModelPicker({ chosen, legend }: { chosen: Signal<string[]>; legend: string }) {
  const problem = useSignal<unknown>(null);
  useEffect(() => {
    loadModels().catch((error: unknown) => {
      problem.value = error;
    });
  }, [problem]);
  const all = models.value;
  const pick = (id: string, on: boolean) => {
    const wanted = new Set(chosen.value);
    if (on) wanted.add(id);
    else wanted.delete(id);
    chosen.value = (all ?? []).map((model) => model.id).filter((known) => wanted.has(known));
  };
  return (
    <fieldset class="picker">
      <legend>{legend}</legend>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      {all?.length === 0 && <p class="soft">{t("model.none")}</p>}
      {all?.map((model) => (
        <Choice key={model.id} model={model} on={chosen.value.includes(model.id)} pick={pick} />
      ))}
    </fieldset>
  );
}

function Choice({ model, on, pick }: { model: Model; on: boolean; pick: (id: string, on: boolean) => void }) {
  const name = `${model.name} ${model.version}`;
  return (
    <div class="pick" data-on={on}>
      <label>
        <input
          type="checkbox"
          checked={on}
          disabled={!model.on && !on}
          onChange={(event) => pick(model.id, event.currentTarget.checked)}
        />
        <span class="pick-words">
          <span class="pick-name">{name}</span>
          <span class="soft small">{t("model.looks-for", { labels: looksFor(model).join(", ") })}</span>
          <ModelBadges model={model} />
        </span>
      </label>
      <a class="small" href={href.model(model.id)} aria-label={t("model.what-of", { name })}>
        {t("model.what")}
      </a>
    </div>
  );
}

/** The patterns that a model looks for, as words: `normal` is none. */
export function looksFor(model: { labels: string[] }): string[] {
  return model.labels.filter((label) => label !== "normal").map((label) => word("label", label));
}
