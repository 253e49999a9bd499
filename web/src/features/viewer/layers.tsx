// The layers over an image, which follow its pan, zoom and rotation: heatmap, strokes, lengths, sides, a scale bar.
import { useEffect, useRef } from "preact/hooks";
import type { LungRuns } from "../../api/types";
import { formatNumber, t } from "../../i18n";
import type { Outline, Overlay, Stroke } from "../study/open-study";
import { colour } from "./colour-map";
import { type Affine, apply, chooseScaleBar, findSides, gridToAffine, type Point } from "./geometry";
import { isComplete, type Measurement } from "./measurements";
import { formatMeasurement } from "./measuring";
import { outlineRuns } from "./outline";
import type { Pane } from "./pane";
import { HALF } from "./strokes";

/** CSS pixels that a measurement's words take. */
const WORDS = 200;

const matrix = (affine: Affine) => `matrix(${affine.join(",")})`;

/** A model's heatmap without smoothing: one flat square per cell. */
export function HeatmapLayer({ pane, overlay }: { pane: Pane; overlay: Overlay }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { rows, columns, labels, values } = overlay.heatmap;
  const cells = values[labels.indexOf(overlay.label)];
  const affine = pane.affine.value;
  const visible = affine !== null;
  useEffect(() => {
    const context = visible && canvas.current?.getContext("2d");
    if (!context || !cells) return;
    const picture = context.createImageData(columns, rows);
    cells.flat().forEach((value, i) => {
      picture.data.set([...colour(value), 255 * value], 4 * i); // low values leave the image as it is
    });
    context.putImageData(picture, 0, 0);
  }, [visible, cells, columns, rows]);
  if (!affine || !cells) return null;
  return (
    <div class="view-layer">
      <canvas
        class="view-heat"
        ref={canvas}
        width={columns}
        height={rows}
        data-cells={`${columns}x${rows}`}
        style={{
          width: `${columns}px`,
          height: `${rows}px`,
          opacity: overlay.opacity,
          transform: matrix(gridToAffine(affine, pane.frame, columns, rows)),
        }}
      />
    </div>
  );
}

/** What the heatmap's cells are not, while they are shown. */
export function HeatmapCaution({ pane, overlay }: { pane: Pane; overlay: Overlay }) {
  const { rows, columns, labels } = overlay.heatmap;
  if (!pane.affine.value || !labels.includes(overlay.label)) return null;
  return <p>{t("view.heat.caution", { columns, rows })}</p>;
}

/** The outlines of lungs and heart, from runs on a square that is stretched over the image. */
export function OutlineLayer({ pane, outline }: { pane: Pane; outline: Outline }) {
  const affine = pane.affine.value;
  if (!affine) return null;
  const { width, height } = pane.box.value;
  const edge = (name: string, runs: LungRuns) => (
    <path
      class={name}
      d={outlineRuns(runs)}
      transform={matrix(gridToAffine(affine, pane.frame, runs.side, runs.side))}
    />
  );
  return (
    <svg class="view-marks" width={width} height={height} aria-hidden="true">
      {edge("view-lungs", outline.lungs)}
      {outline.heart && edge("view-heart", outline.heart)}
    </svg>
  );
}

interface MarksProps {
  /** Whether the image has a left and a right of the patient. */
  sides: boolean;
  pane: Pane;
  strokes: readonly Stroke[];
  mode: "exclude" | "include";
  /** The brush's radius in image pixels, where it paints. */
  radius: number | null;
}

/** All layers that are drawn as lines. */
export function MarkLayer({ pane, strokes, mode, radius, sides }: MarksProps) {
  const affine = pane.affine.value;
  if (!affine) return null;
  const { width, height } = pane.box.value;
  const cursor = pane.cursor.value;
  const measurements = pane.measurements.value.map((one) =>
    cursor && radius === null && !isComplete(one) ? { ...one, points: [...one.points, cursor] } : one,
  );
  const hatch = `hatch-${pane.image.id}`;
  return (
    <svg class="view-marks" width={width} height={height} aria-hidden="true">
      <defs>
        <pattern
          id={hatch}
          width="9"
          height="9"
          patternUnits="userSpaceOnUse"
          patternTransform={`${inverseScale(affine)} rotate(45)`}
        >
          <rect class="view-hatch-ground" data-mode={mode} width="9" height="9" />
          <line class="view-hatch" data-mode={mode} x1="0" y1="0" x2="0" y2="9" />
        </pattern>
        <clipPath id={`${hatch}-edge`}>
          <rect width={pane.frame.width} height={pane.frame.height} transform={matrix(affine)} />
        </clipPath>
      </defs>
      <g clip-path={`url(#${hatch}-edge)`}>
        <g transform={`${matrix(affine)} translate(${HALF} ${HALF})`}>
          {strokes.map((stroke, i) => (
            <path
              key={i}
              class="view-stroke"
              d={path(stroke.points)}
              stroke={`url(#${hatch})`}
              stroke-width={2 * stroke.radius}
            />
          ))}
        </g>
      </g>
      <g transform={matrix(affine)}>
        {radius !== null && cursor && <circle class="view-brush" cx={cursor[0]} cy={cursor[1]} r={radius} />}
      </g>
      {radius === null && cursor && <CursorCross at={apply(affine, cursor)} />}
      {measurements.map((measurement, i) => (
        <Measured key={i} measurement={measurement} pane={pane} affine={affine} />
      ))}
      {sides && <Sides pane={pane} />}
      <ScaleBar pane={pane} />
    </svg>
  );
}

function path(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  // A single point is a line of length 0: its round ends draw the disc.
  return `M${first.join(" ")}${(rest.length ? rest : [first]).map((point) => `L${point.join(" ")}`).join("")}`;
}

/** Return the SVG transform that lets a pattern keep its size on the screen. */
function inverseScale([a, b, c, d]: Affine): string {
  return `scale(${1 / Math.hypot(a, b)} ${1 / Math.hypot(c, d)})`;
}

function CursorCross({ at: [x, y] }: { at: Point }) {
  return <path class="view-cross" d={`M${x - 9} ${y}h18M${x} ${y - 9}v18`} />;
}

/** A measurement: its lines, its points, and its value once it is whole. */
function Measured({ measurement, pane, affine }: { measurement: Measurement; pane: Pane; affine: Affine }) {
  const points = measurement.points.map((point) => apply(affine, point));
  // The two widths of a ratio are two lines; all others are one path.
  const paths = measurement.kind === "ratio" ? [points.slice(0, 2), points.slice(2)] : [points];
  const place = points.at(-1);
  const toTheLeft = place !== undefined && place[0] > pane.box.value.width - WORDS;
  return (
    <g class="view-length" data-kind={measurement.kind}>
      {paths.map((ends, i) => (
        <polyline key={i} fill="none" points={ends.map((end) => end.join(",")).join(" ")} />
      ))}
      {points.map(([x, y], i) => (
        <circle key={i} cx={x} cy={y} r="3" />
      ))}
      {place && isComplete(measurement) && (
        <text x={place[0] + (toTheLeft ? -8 : 8)} y={place[1] - 8} text-anchor={toTheLeft ? "end" : "start"}>
          {formatMeasurement(pane, measurement)}
        </text>
      )}
    </g>
  );
}

/** R and L stand at the edges of the viewport to which the patient's sides point. A lateral view has none. */
function Sides({ pane }: { pane: Pane }) {
  const view = pane.view.value;
  if (!view) return null;
  const { width, height } = pane.box.value;
  const places = {
    left: [14, height / 2],
    right: [width - 14, height / 2],
    top: [width / 2, 24],
    bottom: [width / 2, height - 58],
  };
  const where = findSides(view.turn);
  // Where the file does not state the patient's orientation, as no PNG does, it is a convention.
  const assumed = pane.image.facts.orientation !== "stated";
  return (
    <g class="view-sides">
      {(["right", "left"] as const).map((side) => {
        const [x, y] = places[where[side]] as [number, number];
        return (
          <text key={side} x={x} y={y} data-side={side} data-at={where[side]}>
            {t(side === "right" ? "view.side.right" : "view.side.left")}
            {assumed && (
              <tspan class="view-assumed" x={x} dy="13">
                {t("view.side.assumed")}
              </tspan>
            )}
          </text>
        );
      })}
    </g>
  );
}

function ScaleBar({ pane }: { pane: Pane }) {
  const view = pane.view.value;
  if (!view || !pane.ruler) return null;
  const { width, height } = pane.box.value;
  const mm = chooseScaleBar(view.scale, width / 4);
  const long = mm * view.scale;
  return (
    <g class="view-bar" data-mm={mm}>
      <path d={`M${width - 14 - long} ${height - 18}v6h${long}v-6`} />
      <text x={width - 14} y={height - 22}>
        {t(pane.ruler === "detector" ? "view.mm.detector" : "view.mm", { value: formatNumber(mm, mm < 1 ? 1 : 0) })}
      </text>
    </g>
  );
}
