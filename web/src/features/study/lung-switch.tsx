// Switches the outlines of lungs and heart over the image, which show whether the model looked at them.
import type { Prediction } from "../../api/types";
import { t } from "../../i18n";
import { outlineOf } from "./open-study";
import type { StudyStore } from "./study-store";

export function LungSwitch({ store, prediction }: { store: StudyStore; prediction: Prediction }) {
  const { outline } = store.open;
  const own = outlineOf(prediction);
  if (!own) return null;
  return (
    <label class="lung-switch">
      <input
        type="checkbox"
        checked={outline.value?.prediction === prediction.id}
        onChange={(event) => {
          outline.value = event.currentTarget.checked ? own : null;
        }}
      />
      {t(own.heart ? "panel.lungs-and-heart" : "panel.lungs")}
    </label>
  );
}
