// The heatmap's colours: viridis (Smith and van der Walt, 2015). Its steps look equal, also in grey and to colour-blind
// readers.

/** Every eighth of viridis, from 0 to 1. */
const STOPS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];

/** Return the colour of a value in 0..1, as bytes. */
export function colour(value: number): [number, number, number] {
  const place = Math.min(Math.max(value, 0), 1) * (STOPS.length - 1);
  const below = Math.min(Math.floor(place), STOPS.length - 2);
  const [from, to] = [channels(STOPS[below] as string), channels(STOPS[below + 1] as string)];
  return from.map((start, i) => Math.round(start + ((to[i] as number) - start) * (place - below))) as [
    number,
    number,
    number,
  ];
}

const gradientStops = STOPS.map((stop, i) => `${stop}${byte(i / (STOPS.length - 1))}`);
/** The map as a CSS gradient for the legend; low values are transparent, as over the image. */
export const GRADIENT = `linear-gradient(to right, ${gradientStops.join(", ")})`;

function byte(share: number): string {
  return Math.round(255 * share)
    .toString(16)
    .padStart(2, "0");
}

function channels(hex: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}
