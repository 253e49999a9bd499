// The pipeline: border, gatekeeper, lungs, classifier.
import { type Border, cut, findBorder, hasBorder, NO_BORDER, spread } from "./border";
import {
  type ClassifierCard,
  cutsBorders,
  decide,
  type GatekeeperCard,
  isScreened,
  type LungsCard,
  shortest,
  splitDecision,
} from "./bundle";
import type { Graph } from "./graph";
import { isActiveOutside, Outlines } from "./lungs";
import { FileProblem, isStrip, type Plane, type Radiograph } from "./picture";
import { type Companions, type Screening, screen } from "./screening";

const FINER = 4; // cells of a bordered image's heatmap for each of the graph's, along one side

export interface Classifier {
  identity: string;
  card: ClassifierCard;
  graph: Graph;
}

/** Return gatekeeper and lungs as the screening asks them. */
export function makeCompanions(
  gatekeeper: { card: GatekeeperCard; graph: Graph },
  lungs: { card: LungsCard; graph: Graph },
): Companions {
  const names = Object.keys(gatekeeper.card.answers);
  const structures = Object.keys(lungs.card.structures);
  return {
    thresholds: gatekeeper.card.thresholds,
    async answer(plane) {
      const { probabilities, mirrored } = await gatekeeper.graph.run(plane, ["probabilities", "mirrored"]);
      return {
        probabilities: Object.fromEntries(names.map((name, k) => [name, probabilities?.data[k] ?? Number.NaN])),
        mirrored: mirrored?.data[0] ?? Number.NaN,
      };
    },
    async outline(plane) {
      const { masks } = await lungs.graph.run(plane, ["masks"]);
      return new Outlines(masks?.data ?? new Float32Array(), structures, plane, NO_BORDER);
    },
  };
}

/** The outcome of one classifier on one image. */
export interface Outcome {
  identity: string;
  /** In the order of the card's labels; empty where the classifier did not run. */
  probabilities: number[];
  decision: string | null;
  refused: boolean;
  codes: string[];
  ood: number | null;
  /** One plane for each label, stretched over the whole image; empty without a heatmap. */
  heatmap: Plane[];
  screening: Screening | null;
}

/** Screens an image once for all classifiers that have met the same images. */
export class Screener {
  readonly #companions: Companions;
  readonly #radiograph: Radiograph;
  readonly #found = new Map<string, Promise<Screening>>();
  #border: Border | null = null;

  constructor(companions: Companions, radiograph: Radiograph) {
    this.#companions = companions;
    this.#radiograph = radiograph;
  }

  screen({ card }: Classifier): Promise<Screening> {
    const cuts = cutsBorders(card);
    const population = card.population ?? null;
    const key = JSON.stringify([cuts, population?.views, population?.ages]);
    let found = this.#found.get(key);
    if (!found) {
      found = screen(this.#companions, this.#radiograph, this.#radiograph.facts, population, this.border, cuts);
      this.#found.set(key, found);
    }
    return found;
  }

  /** The flat border of the image. */
  get border(): Border {
    this.#border ??= findBorder(this.#radiograph);
    return this.#border;
  }

  outline(plane: Plane): Promise<Outlines> {
    return this.#companions.outline(plane);
  }
}

/** Return what one classifier says of an image; `alone`: the graph by itself, on any image. */
export async function classify(
  classifier: Classifier,
  radiograph: Radiograph,
  screener: Screener,
  alone = false,
): Promise<Outcome> {
  const { card, graph, identity } = classifier;
  const border = cutsBorders(card) ? screener.border : NO_BORDER;
  const inside = cut(radiograph, border);
  const names = ["probabilities", "ood", ...(card.heatmap_size ? ["heatmap"] : [])];
  const needsLungs = graph.inputs.includes("lungs");
  // A graph in another worker starts before the image is judged. What it says of a refused image is dropped.
  const ahead = graph.beside && !needsLungs && !isStrip(inside) ? graph.run(inside, names) : null;
  ahead?.catch(() => undefined);
  const screening = !alone && isScreened(card) ? await screener.screen(classifier) : null;
  const outcome: Outcome = {
    identity,
    probabilities: [],
    decision: null,
    refused: true,
    codes: screening?.refusals ?? [],
    ood: null,
    heatmap: [],
    screening,
  };
  if (screening?.refusals.length) return outcome;
  if (isStrip(inside)) throw new FileProblem("sides", `${inside.width} x ${inside.height} pixels`);
  let lungs: Plane | undefined;
  if (needsLungs) {
    const outlines = screening?.outlines?.inside ?? (await screener.outline(inside));
    lungs = outlines.probability("lungs");
  }
  const { probabilities, ood, heatmap } = await (ahead ?? graph.run(inside, names, lungs));
  outcome.probabilities = Array.from(probabilities?.data ?? [], shortest);
  if (!outcome.probabilities.every(Number.isFinite)) throw new Error("the graph answered with no numbers");
  const score = ood?.data[0] ?? Number.NaN;
  outcome.ood = shortest(score);
  if (heatmap) {
    const [, count = 0, height = 0, width = 0] = heatmap.dims;
    outcome.heatmap = Array.from({ length: count }, (_, k) => {
      const values = Float32Array.from(heatmap.data.subarray(k * width * height, (k + 1) * width * height));
      const map = { width, height, values };
      return hasBorder(border)
        ? spread(map, border, radiograph, { width: FINER * width, height: FINER * height })
        : map;
    });
  }
  const decision = decide(card, outcome.probabilities, score);
  if (decision === null) return { ...outcome, codes: ["unlike-training"] };
  const warnings = screening ? [...screening.warnings] : hasBorder(border) ? ["bordered"] : [];
  const outlines = screening?.outlines;
  if (outlines && isOutside(card, decision, outcome.heatmap, outlines)) warnings.push("outside-lungs");
  return { ...outcome, decision, refused: false, codes: warnings };
}

function isOutside(card: ClassifierCard, decision: string, heatmap: Plane[], outlines: Outlines): boolean {
  return splitDecision(decision).some((name) => {
    const heat = heatmap[card.labels.findIndex((label) => label.name === name)];
    return heat !== undefined && isActiveOutside(heat, outlines);
  });
}
