// What is known of a picture before a classifier sees it, as pneumoscope.bundle.screening judges it: first the facts of
// the file, then the pixels (gatekeeper), then the lungs. A finding is a code; its words are those of the pages.
import { bodyPartOf } from "./body-part";
import { type Border, cut, hasBorder, NO_BORDER } from "./border";
import { trimFrame, turnBack } from "./frame";
import { hasSeveralChests, isPartOfChest, measureLayout, measureTurn } from "./layout";
import { type LungShape, measureLungShape, type Outlines } from "./lungs";
import { type Facts, isStrip, type Plane, rotateQuarters } from "./picture";
import { rotate } from "./resample";
import rules from "./rules.json";

const R = rules.screening;
const TURN = rules.layout.turn;

/** What the gatekeeper's card sets. */
export interface Thresholds {
  frontal: number;
  mirrored: number;
  colour: number;
  lungs: Record<string, [number, number]>;
  cut: number;
}

/** What a classifier has met; the server's `Population`. */
export interface Population {
  views: Record<string, number>;
  ages: Record<string, number>;
}

export interface GatekeeperAnswer {
  probabilities: Record<string, number>;
  mirrored: number;
}

/** The graphs that look before a classifier does. */
export interface Companions {
  thresholds: Thresholds;
  answer: (plane: Plane) => Promise<GatekeeperAnswer>;
  outline: (plane: Plane) => Promise<Outlines>;
}

export interface Screening {
  refusals: string[];
  warnings: string[];
  outlines: Outlines | null;
  border: Border;
}

/** Return what is known of a picture; with `cutsBorder` only the inside of its flat border is looked at. */
export async function screen(
  companions: Companions,
  plane: Plane,
  facts: Facts,
  population: Population | null,
  border: Border,
  cutsBorder: boolean,
): Promise<Screening> {
  if (!cutsBorder) {
    const found = await screenInside(companions, plane, facts, population);
    if (!hasBorder(border) || found.refusals.length) return found;
    return { ...found, warnings: [...found.warnings, "border-kept"] };
  }
  const found = await screenInside(companions, cut(plane, border), facts, population);
  if (!hasBorder(border)) return found;
  const outlines = found.outlines?.within(border, plane) ?? null;
  const warnings = found.refusals.length ? found.warnings : [...found.warnings, "bordered"];
  return { ...found, outlines, border, warnings };
}

async function screenInside(
  companions: Companions,
  plane: Plane,
  facts: Facts,
  population: Population | null,
): Promise<Screening> {
  const found = await screenOnce(companions, plane, facts, population);
  const [refusal] = found.refusals;
  if (refusal === undefined || found.refusals.length !== 1 || judgeFacts(facts, population).length) return found;
  const named = await findWayOut(companions, refusal, plane, found.outlines);
  return named === refusal ? found : { ...found, refusals: [named], warnings: [] };
}

async function screenOnce(
  companions: Companions,
  plane: Plane,
  facts: Facts,
  population: Population | null,
): Promise<Screening> {
  const { thresholds } = companions;
  const stated = judgeFacts(facts, population);
  if (isStrip(plane))
    return { refusals: [...stated, ...judgeSides(plane)], warnings: [], outlines: null, border: NO_BORDER };
  const answer = await companions.answer(plane);
  const frontal = answer.probabilities.frontal ?? 0;
  const judged = [...stated, ...judgeSides(plane), ...judgeAnswer(answer, thresholds, facts, population)];
  const refusals: string[] = [];
  for (const code of judged) refusals.push(await checkTurn(companions, code, plane));
  if (refusals.length) return { refusals, warnings: [], outlines: null, border: NO_BORDER };
  const outlines = await companions.outline(plane);
  const shape = measureLungShape(outlines.square("lungs"));
  refusals.push(...judgeLungs(shape, thresholds));
  if (!refusals.length && isLikeliest(answer, "frontal")) {
    const ask = async (part: Plane): Promise<[number, number]> => {
      const { probabilities } = await companions.answer(part);
      return [probabilities.frontal ?? 0, probabilities.lateral ?? 0];
    };
    const layout = measureLayout(plane, outlines, shape);
    if (await hasSeveralChests(layout, frontal, ask, plane)) refusals.push("several");
    else if (Math.abs(layout.turn) > TURN) refusals.push("askew");
    else if (isPartOfChest(layout, frontal)) refusals.push("part");
  }
  const warnings = refusals.length ? [] : [...warnOfFacts(facts), ...warnOf(answer, shape, thresholds)];
  return { refusals, warnings, outlines, border: NO_BORDER };
}

function isLikeliest({ probabilities }: GatekeeperAnswer, name: string): boolean {
  const names = Object.keys(probabilities);
  return names.reduce((a, b) => ((probabilities[b] ?? 0) > (probabilities[a] ?? 0) ? b : a)) === name;
}

async function isFrontal(companions: Companions, plane: Plane): Promise<boolean> {
  return ((await companions.answer(plane)).probabilities.frontal ?? 0) >= companions.thresholds.frontal;
}

/** A chest at 30 degrees looks like one at 90, which it is not. */
async function checkTurn(companions: Companions, code: string, plane: Plane): Promise<string> {
  const turns = (R.uprightAgain as Record<string, number>)[code];
  if (turns === undefined) return code;
  return (await isFrontal(companions, rotateQuarters(plane, turns))) ? code : "askew";
}

/** Return that a refused picture is framed or turned, where it would be a frontal chest without that. */
async function findWayOut(
  companions: Companions,
  code: string,
  plane: Plane,
  outlines: Outlines | null,
): Promise<string> {
  if (R.may_be_framed.includes(code)) {
    const inside = trimFrame(plane);
    const same = inside.width === plane.width && inside.height === plane.height;
    if (!same && !(await screenOnce(companions, inside, {}, null)).refusals.length) return "framed";
  }
  if (R.may_be_turned.includes(code)) {
    const degrees = measureTurn(outlines ?? (await companions.outline(plane)));
    if (Math.abs(degrees) > TURN) return (await isFrontal(companions, rotate(plane, -degrees))) ? "askew" : code;
  }
  if (code === "other")
    for (const [, inside] of turnBack(plane)) if (await isFrontal(companions, inside)) return "askew";
  return code;
}

const textOf = (facts: Facts, name: string) =>
  String(facts[name] ?? "")
    .trim()
    .toUpperCase();

function hasMetLaterals(population: Population | null): boolean {
  return (population?.views.L ?? 0) > 0;
}

function hasMetAdultsAlone(population: Population | null): boolean {
  if (!population || population.ages.child) return false;
  return (population.ages.adult ?? 0) > (population.ages.unknown ?? 0);
}

/** Return why the facts of a file speak against a frontal chest radiograph of a patient that a model has met. */
export function judgeFacts(facts: Facts, population: Population | null): string[] {
  const codes: string[] = [];
  if (R.noChest.includes(textOf(facts, "modality"))) codes.push("modality");
  if (bodyPartOf(textOf(facts, "body_part")) === "other") codes.push("body-part");
  const view = textOf(facts, "view");
  if (R.lateral.includes(view) && !hasMetLaterals(population)) codes.push("lateral");
  if ((R.oblique.includes(view) || R.decubitus.includes(view)) && !population?.views[view]) codes.push("view");
  const { age } = facts;
  if (typeof age === "number" && age < R.adultAge && hasMetAdultsAlone(population)) codes.push("child");
  return codes;
}

function warnOfFacts(facts: Facts): string[] {
  return bodyPartOf(textOf(facts, "body_part")) === "unknown" ? ["body-part"] : [];
}

function judgeSides({ width, height }: Plane): string[] {
  return Math.max(width, height) / Math.min(width, height) > R.longest ? ["sides"] : [];
}

function judgeAnswer(
  { probabilities }: GatekeeperAnswer,
  thresholds: Thresholds,
  facts: Facts,
  population: Population | null,
): string[] {
  const accepted = (probabilities.frontal ?? 0) + (hasMetLaterals(population) ? (probabilities.lateral ?? 0) : 0);
  const codes: string[] = [];
  if (!(accepted >= thresholds.frontal)) {
    const kinds = Object.keys(probabilities).filter((name) => R.words.includes(name));
    codes.push(kinds.reduce((a, b) => ((probabilities[b] ?? 0) > (probabilities[a] ?? 0) ? b : a)));
  }
  if (typeof facts.colour_share === "number" && facts.colour_share > thresholds.colour) codes.push("coloured");
  return codes;
}

function judgeLungs(shape: LungShape, thresholds: Thresholds): string[] {
  const implausible = Object.entries(thresholds.lungs).some(([name, [low, high]]) => {
    const value = shape[name as keyof LungShape];
    return !(low <= value && value <= high);
  });
  return implausible ? ["lungs"] : [];
}

function warnOf(answer: GatekeeperAnswer, shape: LungShape, thresholds: Thresholds): string[] {
  const codes: string[] = [];
  if (answer.mirrored >= thresholds.mirrored) codes.push("mirrored");
  if (shape.cut > thresholds.cut) codes.push("cropped");
  return codes;
}
