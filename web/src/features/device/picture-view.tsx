// The picture with its heatmap and the outline of the lungs.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Answer, Answered } from "../../device/messages";
import { labelName, t } from "../../i18n";
import { colour, GRADIENT } from "../viewer/colour-map";
import { outlineRuns } from "../viewer/outline";

interface Props {
  answered: Answered;
  /** The answer whose heatmap is shown, and the names of its labels. */
  answer: Answer | undefined;
  labels: string[];
  name: string;
}

export function PictureView({ answered, answer, labels, name }: Props) {
  const image = useRef<HTMLCanvasElement>(null);
  const heat = useRef<HTMLCanvasElement>(null);
  const showsHeat = useSignal(false);
  const showsLungs = useSignal(false);
  const label = useSignal("");
  const { preview, lungs } = answered;
  const decided = answer?.decision && labels.includes(answer.decision) ? answer.decision : (labels[0] ?? "");
  const place = Math.max(0, labels.indexOf(label.value || decided));
  const map = answer && !answer.refused ? answer.heatmap[place] : undefined;
  useEffect(() => {
    const context = image.current?.getContext("2d");
    if (!context) return;
    const picture = context.createImageData(preview.width, preview.height);
    preview.values.forEach((value, k) => {
      picture.data.set([value, value, value, 255], 4 * k);
    });
    context.putImageData(picture, 0, 0);
  }, [preview]);
  useEffect(() => {
    const context = showsHeat.value && map ? heat.current?.getContext("2d") : null;
    if (!context || !map) return;
    const picture = context.createImageData(map.width, map.height);
    map.values.forEach((value, k) => {
      picture.data.set([...colour(value), 255 * value], 4 * k);
    });
    context.putImageData(picture, 0, 0);
  }, [showsHeat.value, map]);
  return (
    <figure class="device-picture">
      <div class="device-canvas">
        <canvas
          ref={image}
          width={preview.width}
          height={preview.height}
          role="img"
          aria-label={t("device.picture-of", { name })}
        />
        {showsHeat.value && map && (
          <canvas
            ref={heat}
            class="device-heat"
            width={map.width}
            height={map.height}
            data-cells={`${map.width}x${map.height}`}
          />
        )}
        {showsLungs.value && lungs && (
          <svg viewBox={`0 0 ${lungs.side} ${lungs.side}`} preserveAspectRatio="none" aria-hidden="true">
            <path class="view-lungs" d={outlineRuns(lungs)} />
          </svg>
        )}
      </div>
      <figcaption class="device-layers">
        {map && (
          <button
            type="button"
            aria-pressed={showsHeat.value}
            onClick={() => {
              showsHeat.value = !showsHeat.value;
              if (showsHeat.value) showsLungs.value = lungs !== null;
            }}
          >
            {t("view.heat")}
          </button>
        )}
        {lungs && (
          <button
            type="button"
            aria-pressed={showsLungs.value}
            onClick={() => {
              showsLungs.value = !showsLungs.value;
            }}
          >
            {t("panel.lungs")}
          </button>
        )}
        {showsHeat.value && map && labels.length > 1 && (
          <select
            aria-label={t("view.heat")}
            value={labels[place]}
            onChange={(event) => {
              label.value = event.currentTarget.value;
            }}
          >
            {labels.map((one) => (
              <option key={one} value={one}>
                {labelName(one)}
              </option>
            ))}
          </select>
        )}
      </figcaption>
      {showsHeat.value && map && (
        <p class="small soft">
          <span class="device-legend" style={{ background: GRADIENT }} aria-hidden="true" />{" "}
          {t("view.heat.caution", { columns: map.width, rows: map.height })}
        </p>
      )}
    </figure>
  );
}
