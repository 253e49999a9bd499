// Switches the outline of the lungs over the image, which shows whether the model looked at them.
import type { Prediction } from "../../api/types";
import { t } from "../../i18n";
import type { StudyStore } from "./study-store";

export function LungSwitch({ store, prediction }: { store: StudyStore; prediction: Prediction }) {
  const { outline } = store.open;
  const lungs = prediction.result?.lungs;
  if (!lungs) return null;
  return (
    <label class="lung-switch">
      <input
        type="checkbox"
        checked={outline.value?.prediction === prediction.id}
        onChange={(event) => {
          outline.value = event.currentTarget.checked ? { prediction: prediction.id, lungs } : null;
        }}
      />
      {t("panel.lungs")}
    </label>
  );
}
