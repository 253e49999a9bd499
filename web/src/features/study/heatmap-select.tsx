// Where a model looked, laid over the image when asked for: off at opening, and its true resolution said.
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { api, body } from "../../api/client";
import type { Prediction } from "../../api/types";
import { ProblemNote } from "../../components/problem";
import { t, word } from "../../i18n";
import type { Desk } from "./study-store";

const OPACITY = 0.5;

export function HeatmapSwitch({ desk, prediction }: { desk: Desk; prediction: Prediction }) {
  const id = useId();
  const problem = useSignal<unknown>(null);
  const { overlay } = desk.open;
  const shape = prediction.result?.heatmap_shape;
  if (!shape) return <p class="small soft">{t("panel.no-heatmap")}</p>;
  const mine = overlay.value?.prediction === prediction.id ? overlay.value : null;
  const choose = async (label: string) => {
    problem.value = null;
    if (label === "") {
      overlay.value = null;
      return;
    }
    try {
      const heatmap =
        mine?.heatmap ??
        (await body(
          api.GET("/api/predictions/{prediction}/heatmap", { params: { path: { prediction: prediction.id } } }),
        ));
      overlay.value = { prediction: prediction.id, label, heatmap, opacity: overlay.value?.opacity ?? OPACITY };
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <div class="heatmap">
      <label for={id}>{t("panel.heatmap")}</label>
      <select id={id} value={mine?.label ?? ""} onChange={(event) => void choose(event.currentTarget.value)}>
        <option value="">{t("panel.heatmap-off")}</option>
        {(prediction.result?.labels ?? []).map((label) => (
          <option key={label} value={label}>
            {word("label", label)}
          </option>
        ))}
      </select>
      {mine && (
        <p class="small soft" role="status">
          {t("panel.heatmap-words", { rows: shape[1], columns: shape[2] })}
        </p>
      )}
      {problem.value !== null && <ProblemNote error={problem.value} />}
    </div>
  );
}
