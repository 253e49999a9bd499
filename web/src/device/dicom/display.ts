// The table that turns stored values into grey, as pneumoscope.imaging.dicom.display computes it: in double precision,
// once for each storable value (PS3.4 N.2).

export interface Lut {
  kind: "table";
  first: number;
  entries: ArrayLike<number>;
  bits: number;
}
export interface Rescale {
  kind: "rescale";
  slope: number;
  intercept: number;
}
export interface Window {
  kind: "window";
  centre: number;
  width: number;
  function: string;
}
export interface DisplayChain {
  bits: number;
  signed: boolean;
  modality: Lut | Rescale | null;
  voi: Lut | Window | null;
  inverted: boolean;
  padding: [number, number] | null;
}

/** Round halves to the even number, as numpy.rint does. */
const rint = (value: number) => {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (Math.abs(floor) % 2) : Math.round(value);
};

function look({ first, entries }: Lut, value: number): number {
  return entries[Math.min(Math.max(rint(value) - first, 0), entries.length - 1)] as number;
}

/** Return the depth of the output range that is displayed: a table that fills less than an eighth sets its own. */
function usedBits({ entries, bits }: Lut): number {
  let highest = 0;
  for (let k = 0; k < entries.length; k++) highest = Math.max(highest, entries[k] as number);
  return highest > 0 && highest < Math.floor(2 ** bits / 8) ? Math.floor(Math.log2(highest)) + 1 : bits;
}

function place(value: number, { centre, width, function: kind }: Window): number {
  if (kind === "SIGMOID") {
    const steps = Math.min(Math.max((-4 * (value - centre)) / width, -700), 700);
    return 1 / (1 + Math.exp(steps));
  }
  const [c, w] = kind === "LINEAR" ? [centre - 0.5, width - 1] : [centre, width];
  if (w === 0) return value > c ? 1 : 0;
  return Math.min(Math.max((value - c) / w + 0.5, 0), 1);
}

/** Lowest value that can be stored. */
export function lowestOf({ bits, signed }: Pick<DisplayChain, "bits" | "signed">): number {
  return signed ? -(2 ** (bits - 1)) : 0;
}

export function applyModality(modality: DisplayChain["modality"], value: number): number {
  if (!modality) return value;
  return modality.kind === "table" ? look(modality, value) : value * modality.slope + modality.intercept;
}

/** Return the grey of each storable value, from the lowest upwards. */
export function displayTable(chain: DisplayChain): Float32Array {
  const { bits, modality, voi, inverted, padding } = chain;
  const lowest = lowestOf(chain);
  const size = 2 ** bits;
  const white = voi?.kind === "table" ? 2 ** usedBits(voi) - 1 : 0;
  const modalityWhite = modality?.kind === "table" ? 2 ** usedBits(modality) - 1 : 0;
  const ends = [applyModality(modality, lowest), applyModality(modality, lowest + size - 1)];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return Float32Array.from({ length: size }, (_, index) => {
    const stored = lowest + index;
    if (padding && stored >= padding[0] && stored <= padding[1]) return 0; // C.7.5.1.1.2
    const value = applyModality(modality, stored);
    let grey: number;
    if (voi?.kind === "table") grey = look(voi, value) / white;
    else if (voi) grey = place(value, voi);
    else if (modality?.kind === "table") grey = value / modalityWhite;
    else grey = (value - low) / (high - low);
    return inverted ? 1 - grey : grey;
  });
}
