// The choice of a heatmap over the image. It is off when a study opens, and the text states its true resolution.
import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { api, body } from "../../api/client";
import type { Prediction } from "../../api/types";
import { ProblemNote } from "../../components/problem";
import { labelName, t } from "../../i18n";
import { isUsable, splitAnswers } from "./predictions";
import type { StudyStore } from "./study-store";

const OPACITY = 0.5;

export function HeatmapSelect({ store, prediction }: { store: StudyStore; prediction: Prediction }) {
  const id = useId();
  const problem = useSignal<unknown>(null);
  const { overlay, outline } = store.open;
  const shape = prediction.result?.heatmap_shape;
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
      const lungs = prediction.result?.lungs;
      if (prediction.result?.outside_lungs && lungs) outline.value = { prediction: prediction.id, lungs };
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
    const toggle = () => void select(ownOverlay ? "" : (prediction.result?.labels?.[0] ?? ""));
    commands.set("heatmap", toggle);
    return () => {
      if (commands.get("heatmap") === toggle) commands.delete("heatmap");
    };
  });
  if (!shape) return <p class="small soft">{t("panel.no-heatmap")}</p>;
  const ownOverlay = overlay.value?.prediction === prediction.id ? overlay.value : null;
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
      {ownOverlay && (
        <p class="small soft" role="status">
          {t("panel.heatmap-words", { rows: shape[1], columns: shape[2] })}
        </p>
      )}
      {problem.value !== null && <ProblemNote error={problem.value} />}
    </div>
  );
}
