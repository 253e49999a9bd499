// Whether a picture shows one whole upright chest, as pneumoscope.bundle.chest_layout judges it.
import { countAreas, type LungShape, labelParts, type Outlines } from "./lungs";
import { crop, type Mask, type Plane } from "./picture";
import { resize } from "./resample";
import rules from "./rules.json";

const R = rules.layout;

export interface ChestLayout {
  stacked: number;
  crossed: number;
  likeness: number;
  heartOffset: number;
  balance: number;
  black: number;
  upper: number;
  lower: number;
  sides: number;
  /** Degrees. */
  turn: number;
}

/** Asks the gatekeeper for the probabilities of a frontal and of a lateral chest. */
type Ask = (part: Plane) => Promise<[number, number]>;

export function measureLayout(plane: Plane, outlines: Outlines, shape: LungShape): ChestLayout {
  const lungs = outlines.square("lungs");
  const side = lungs.width;
  const cells = resize(outlines.probability("lungs"), R.cells, R.cells, "box").values;
  const inside = cells.map((value) => (value > 0.5 ? 1 : 0));
  const area = inside.reduce((sum, value) => sum + value, 0);
  const picture = area ? resize(plane, R.cells, R.cells, "box").values : cells;
  const dark = Math.fround(R.dark);
  const black = inside.reduce((sum, value, k) => sum + (value && (picture[k] as number) < dark ? 1 : 0), 0);
  const total = cells.reduce((sum, value) => sum + value, 0);
  let likeness = 0;
  const [start, stop] = R.axes as [number, number];
  if (area) for (let axis = start; axis < stop; axis++) likeness = Math.max(likeness, agree(cells, total, axis));
  return {
    stacked: shareOfLines(lungs, true, 2, R.gap * side, R.run * side),
    crossed: shareOfLines(lungs, false, 3, R.gap * side, R.narrow_run * side),
    likeness,
    heartOffset: measureHeart(outlines),
    balance: shape.balance,
    black: area ? black / area : 0,
    upper: edge(lungs, 0),
    lower: edge(lungs, side - 2),
    sides: Math.min(column(lungs, 0), column(lungs, side - 1)),
    turn: measureTurn(outlines),
  };
}

function measureHeart(outlines: Outlines): number {
  if (!outlines.structures.includes("heart")) return 0;
  const { width, values } = outlines.square("heart");
  let [sum, count] = [0, 0];
  values.forEach((value, k) => {
    if (!value) return;
    sum += k % width;
    count++;
  });
  return count ? Math.abs(sum / count / width - R.heart) : 0;
}

function edge({ width, values }: Mask, row: number): number {
  let count = 0;
  for (let x = 0; x < width; x++) if (values[row * width + x] || values[(row + 1) * width + x]) count++;
  return count / width;
}

function column({ width, height, values }: Mask, x: number): number {
  let count = 0;
  for (let y = 0; y < height; y++) count += values[y * width + x] as number;
  return count / height;
}

/** Return the share of the lines with lung (columns or rows) that hold so many runs of a least length. */
function shareOfLines({ width, height, values }: Mask, columns: boolean, runs: number, gap: number, least: number) {
  const [lines, length] = columns ? [width, height] : [height, width];
  let [some, several] = [0, 0];
  for (let line = 0; line < lines; line++) {
    const places: number[] = [];
    for (let k = 0; k < length; k++) if (values[columns ? k * width + line : line * width + k]) places.push(k);
    if (places.length === 0) continue;
    some++;
    let count = 0;
    let start = places[0] as number;
    places.forEach((place, k) => {
      const next = places[k + 1];
      if (next !== undefined && next - place - 1 < gap) return;
      if (place - start + 1 >= least) count++;
      start = next ?? 0;
    });
    if (count >= runs) several++;
  }
  return some ? several / some : 0;
}

/** Return how far a mask agrees with its mirror image about the line before column `axis`. */
function agree(cells: Float32Array, total: number, axis: number): number {
  const width = Math.min(axis, R.cells - axis);
  let sum = 0;
  for (let y = 0; y < R.cells; y++)
    for (let k = 0; k < width; k++)
      sum += Math.min(cells[y * R.cells + axis - 1 - k] as number, cells[y * R.cells + axis + k] as number);
  return (2 * sum) / total;
}

interface Lung {
  down: number;
  right: number;
  lean: number;
}

/** Return by how many degrees a chest seems to be turned, positive to the left; 0 where it shows no two lungs. */
export function measureTurn(outlines: Outlines): number {
  const mask = outlines.selectParts("lungs");
  const { labels, count } = labelParts(mask);
  if (count < 2) return 0;
  const areas = countAreas(labels, count);
  const [large = 0, small = 0] = Array.from({ length: count }, (_, k) => k + 1).sort(
    (a, b) => (areas[b] as number) - (areas[a] as number),
  );
  if ((areas[small] as number) < R.least_lung * (areas[large] as number)) return 0;
  const scale = [outlines.shape.height / mask.width, outlines.shape.width / mask.width] as const;
  const [left, right] = [large, small]
    .map((label) => measureLung(labels, label, mask.width, scale))
    .sort((a, b) => a.right - b.right) as [Lung, Lung];
  const lean = (left.lean + right.lean) / 2 - R.axes_upright;
  const between = (Math.atan2(-(right.down - left.down), right.right - left.right) * 180) / Math.PI - R.between_upright;
  return between * Math.sign(lean) > R.turn_between ? lean : 0;
}

/** Return the middle of a lung, and by how many degrees its long axis leans. */
function measureLung(labels: Int32Array, label: number, width: number, scale: readonly [number, number]): Lung {
  let [n, sumY, sumX] = [0, 0, 0];
  labels.forEach((found, k) => {
    if (found !== label) return;
    n++;
    sumY += Math.floor(k / width) * scale[0];
    sumX += (k % width) * scale[1];
  });
  const [down, right] = [sumY / n, sumX / n];
  let [yy, xx, xy] = [0, 0, 0];
  labels.forEach((found, k) => {
    if (found !== label) return;
    const [y, x] = [Math.floor(k / width) * scale[0] - down, (k % width) * scale[1] - right];
    yy += y * y;
    xx += x * x;
    xy += x * y;
  });
  // The long axis of the covariance, by its angle from the vertical (the angle of the larger eigenvalue's vector).
  const angle = Math.atan2(2 * xy, yy - xx) / 2;
  let [along, across] = [Math.cos(angle), Math.sin(angle)];
  if (!(along > 0)) [along, across] = [-along, -across];
  return { down, right, lean: (Math.atan2(across, along) * 180) / Math.PI };
}

/** Return whether a picture shows several chests. */
export async function hasSeveralChests(layout: ChestLayout, frontal: number, ask: Ask, plane: Plane): Promise<boolean> {
  const doubt = frontal < R.doubt;
  const isCut = layout.upper > R.upper_edge || layout.lower > R.lower_edge;
  if (!isCut && layout.stacked > (doubt ? R.stacked_in_doubt : R.stacked)) return true;
  if ((layout.crossed > R.crossed || layout.likeness < R.one_sided) && (await hasTwoViews(ask, plane))) return true;
  const turned = Math.abs(layout.turn) > R.turn;
  return !isCut && !turned && layout.likeness < (doubt ? R.likeness_in_doubt : R.likeness);
}

/** Return whether a picture shows a part of a chest. */
export function isPartOfChest(layout: ChestLayout, frontal: number): boolean {
  const doubt = frontal < R.strong_doubt;
  return (
    layout.heartOffset > (doubt ? R.heart_offset_in_doubt : R.heart_offset) ||
    (doubt && layout.balance < R.balance_in_doubt) ||
    layout.black > R.black ||
    layout.upper > R.upper_edge ||
    layout.lower > R.lower_edge ||
    layout.sides > R.both_sides
  );
}

async function hasTwoViews(ask: Ask, plane: Plane): Promise<boolean> {
  const half = Math.floor(plane.width / 2);
  if (plane.width < 2) return false;
  const [frontal, lateral] = await ask(crop(plane, 0, 0, half, plane.height));
  if (frontal < R.two_chests && lateral < R.lateral_beside) return false;
  const [otherFrontal, otherLateral] = await ask(crop(plane, plane.width - half, 0, half, plane.height));
  if (Math.min(frontal, otherFrontal) >= R.two_chests) return true;
  const beside = otherFrontal > frontal ? lateral : otherLateral;
  return Math.max(frontal, otherFrontal) >= R.two_chests && beside >= R.lateral_beside;
}
