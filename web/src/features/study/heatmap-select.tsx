// The choice of a heatmap over the image. It is off when a study opens, and the text states its true resolution.
import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { api, body } from "../../api/client";
import type { Prediction } from "../../api/types";
import { ProblemNote } from "../../components/problem";
import { labelName, t } from "../../i18n";
import { outlineOf } from "./open-study";
import { isUsable, mainLabel, splitAnswers } from "./predictions";
import type { StudyStore } from "./study-store";

const OPACITY = 0.5;

/** Lay an answer's heatmaps over the image. `select` takes a label, or "" for none; a key of the viewer toggles one. */
export function useHeatmap(store: StudyStore, prediction: Prediction) {
  const problem = useSignal<unknown>(null);
  const { overlay, outline } = store.open;
  const ownOverlay = overlay.value?.prediction === prediction.id ? overlay.value : null;
  const select = async (label: string) => {
    problem.value = null;
    if (label === "") {
      overlay.value = null;
      return;
    }
    try {
      const heatmap =
        ownOverlay?.heatmap ??
        (await body(
          api.GET("/api/predictions/{prediction}/heatmap", { params: { path: { prediction: prediction.id } } }),
        ));
      overlay.value = { prediction: prediction.id, label, heatmap, opacity: overlay.value?.opacity ?? OPACITY };
      if (prediction.result?.outside_lungs) outline.value = outlineOf(prediction) ?? outline.value;
    } catch (error) {
      problem.value = error;
    }
  };
  const first = splitAnswers(store.open.predictions.value, prediction.image).newest.find(
    (one) => isUsable(one) && one.result?.heatmap_shape,
  );
  const isFirst = first?.id === prediction.id;
  useEffect(() => {
    if (!isFirst) return;
    const { commands } = store.open;
    const toggle = () => void select(ownOverlay ? "" : (mainLabel(prediction.result ?? {}) ?? ""));
    commands.set("heatmap", toggle);
    return () => {
      if (commands.get("heatmap") === toggle) commands.delete("heatmap");
    };
  });
  return { select, ownOverlay, problem };
}

export function HeatmapSelect({ store, prediction }: { store: StudyStore; prediction: Prediction }) {
  const id = useId();
  const shape = prediction.result?.heatmap_shape;
  const { select, ownOverlay, problem } = useHeatmap(store, prediction);
  if (!shape) return <p class="small soft">{t("panel.no-heatmap")}</p>;
  return (
    <div class="heatmap">
      <label for={id}>{t("panel.heatmap")}</label>
      <select id={id} value={ownOverlay?.label ?? ""} onChange={(event) => void select(event.currentTarget.value)}>
        <option value="">{t("panel.heatmap-off")}</option>
        {(prediction.result?.labels ?? []).map((label) => (
          <option key={label} value={label}>
            {labelName(label)}
          </option>
        ))}
      </select>
      {ownOverlay && <HeatmapWords shape={shape} />}
      {problem.value !== null && <ProblemNote error={problem.value} />}
    </div>
  );
}

/** What a heatmap is and is not, with its true resolution. */
export function HeatmapWords({ shape }: { shape: [number, number, number] }) {
  return (
    <p class="small soft" role="status">
      {t("panel.heatmap-words", { rows: shape[1], columns: shape[2] })}
    </p>
  );
}
