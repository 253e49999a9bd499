// The findings of a multi-label model in the reading room: the choice of a heatmap beside each.

import type { FindingAnswer, Prediction } from "../../api/types";
import { ProblemNote } from "../../components/problem";
import { labelName, t } from "../../i18n";
import { FindingRows } from "./finding-rows";
import { HeatmapWords, useHeatmap } from "./heatmap-select";
import type { Card } from "./partial-card";
import type { StudyStore } from "./study-store";

interface Props {
  store: StudyStore;
  prediction: Prediction;
  findings: FindingAnswer[];
  card: Card;
}

export function FindingTable({ store, prediction, findings, card }: Props) {
  const { select, ownOverlay, problem } = useHeatmap(store, prediction);
  const shape = prediction.result?.heatmap_shape;
  const heatmapOf = (label: string) => (
    <button
      type="button"
      class="small"
      aria-pressed={ownOverlay?.label === label}
      aria-label={t("panel.heatmap-of", { label: labelName(label) })}
      onClick={() => void select(ownOverlay?.label === label ? "" : label)}
    >
      {t("panel.heatmap-show")}
    </button>
  );
  return (
    <>
      <FindingRows findings={findings} card={card} heatmapOf={shape ? heatmapOf : undefined} />
      {ownOverlay && shape && <HeatmapWords shape={shape} />}
      {problem.value !== null && <ProblemNote error={problem.value} />}
      {!shape && <p class="small soft">{t("panel.no-heatmap")}</p>}
    </>
  );
}
