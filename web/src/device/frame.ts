// What lies around a picture: a frame, or the canvas on which it was turned (pneumoscope.bundle.frame).
import { cut, findBorder, roundEven } from "./border";
import { crop, type Plane, transpose } from "./picture";
import { resize, rotate } from "./resample";
import rules from "./rules.json";

const R = rules.frame;

/** Return a quantile of ordered float32 numbers, linear between neighbours, as numpy has it. */
function quantile(ordered: Float32Array, share: number): number {
  const at = share * (ordered.length - 1);
  const below = Math.floor(at);
  const low = ordered[below] as number;
  const high = ordered[Math.min(below + 1, ordered.length - 1)] as number;
  return Math.fround(low + (high - low) * (at - below));
}

/** Return a picture without rows of one grey above and below and columns of one grey left and right. */
export function trimFrame(plane: Plane): Plane {
  let trimmed = plane;
  for (let pass = 0; pass < 2; pass++) {
    const { width, height, values } = trimmed;
    const step = Math.max(1, Math.floor(width / R.places));
    const length = Math.ceil(width / step);
    const line = new Float32Array(length);
    let [first, last] = [-1, -1];
    for (let y = 0; y < height; y++) {
      for (let k = 0; k < length; k++) line[k] = values[y * width + k * step] as number;
      line.sort();
      if (Math.fround(quantile(line, 1 - R.dust) - quantile(line, R.dust)) <= Math.fround(R.one_grey)) continue;
      if (first < 0) first = y;
      last = y;
    }
    if (first >= 0) {
      const [above, below] = [first, height - 1 - last];
      if (above + below >= R.frame * height && Math.max(above, below) <= R.lopsided * Math.min(above, below))
        trimmed = crop(trimmed, 0, above, width, height - above - below);
    }
    trimmed = transpose(trimmed);
  }
  return trimmed;
}

/** Yield a picture turned back by several angles, if its four corners are those of an enlarged canvas. */
export function* turnBack(plane: Plane): Generator<[number, Plane]> {
  const { width, height, values } = plane;
  const [rows, columns] = [Math.max(1, roundEven(R.corner * height)), Math.max(1, roundEven(R.corner * width))];
  const corners = new Float32Array(4 * rows * columns);
  let at = 0;
  for (const top of [0, height - rows])
    for (const left of [0, width - columns])
      for (let y = 0; y < rows; y++, at += columns)
        corners.set(values.subarray((top + y) * width + left, (top + y) * width + left + columns), at);
  corners.sort();
  const low = quantile(corners, R.dust);
  if (Math.fround(quantile(corners, 1 - R.dust) - low) > Math.fround(R.one_grey)) return;
  const scale = Math.min(1, R.small / Math.max(height, width));
  const small = resize(plane, Math.max(1, roundEven(scale * width)), Math.max(1, roundEven(scale * height)), "bicubic");
  for (const size of R.degrees)
    for (const degrees of [size, -size]) {
      const turned = rotate(small, -degrees, low);
      yield [degrees, cut(turned, findBorder(turned))];
    }
}
