// One open study at a reader's desk: what the server has said so far, and when it may be asked for more.
import { computed, effect, type Signal, signal } from "@preact/signals";
import { about, api, body, me, Problem } from "../../api/client";
import { draft, keep } from "../../api/drafts";
import { watch } from "../../api/events";
import { loadModels } from "../../api/models";
import type { Image, ModelDetail, Prediction, Read, ReadDraft, ReferenceDraft } from "../../api/types";
import { openStudy } from "./open-study";
import { beginning, type Draft, mayShow, phaseOf, same } from "./reading-phase";

export type Tab = "read" | "model" | "reference" | "study";
export const NO_REFERENCE: ReferenceDraft = { standard: "rt-pcr", label: "", date: "" };
const SOON = 150; // milliseconds: events come in bursts, and one look answers for all of them

/** Fetch a study and its reads, and open it. No answer of a model is fetched before the reader may be shown one. */
export async function openDesk(id: string) {
  const path = { study: id };
  const study = await body(api.GET("/api/studies/{study}", { params: { path } }));
  const open = openStudy(study);
  const reads = signal<Read[]>(await body(api.GET("/api/studies/{study}/reads", { params: { path } })));
  /** Whether the reader, in free mode, chose to see the answers or to read first. */
  const shown = draft(`shown/${id}`, false);
  const readingFirst = draft(`first/${id}`, false);
  const phase = computed(() =>
    phaseOf({
      reads: reads.value,
      reader: me.value?.id ?? "",
      readsFirst: about.value?.reads_first ?? true,
      shown: shown.value || open.study.value.own_read === "shown",
      readingFirst: readingFirst.value,
    }),
  );
  const details = signal<Record<string, ModelDetail | null>>({});
  const problem = signal<unknown>(null);
  const gone = signal(false);
  const answered = signal(false);

  /** Show another image. What was painted and laid over the one before belongs to that one. */
  function view(image: Image | null): void {
    if (image?.id === open.image.value?.id) return;
    open.brush.value = null;
    open.strokes.value = [];
    open.overlay.value = null;
    open.image.value = image;
  }

  let newest = 0;
  /** Ask again how the study stands. Where two of these overlap, only the later one counts. */
  async function look(): Promise<void> {
    newest += 1;
    const turn = newest;
    try {
      const [now, said] = await Promise.all([
        body(api.GET("/api/studies/{study}", { params: { path } })),
        body(api.GET("/api/studies/{study}/reads", { params: { path } })),
      ]);
      if (turn !== newest) return;
      [open.study.value, reads.value] = [now, said];
      if (!now.images.some((image) => image.id === open.image.value?.id)) view(now.images[0] ?? null);
      await answers(() => turn === newest);
      problem.value = null;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) gone.value = true;
      else if (!(error instanceof Problem && error.status === 401)) problem.value = error;
    }
  }

  /** Fetch the answers, where that is not too early: the server writes down that they were shown. */
  async function answers(wanted = () => true): Promise<void> {
    if (!mayShow(phase.value)) return;
    const found = await body(api.GET("/api/studies/{study}/predictions", { params: { path } }));
    // The cards first: an answer is shown with all that must be said beside it, at once.
    const cards = await Promise.allSettled([...new Set(found.map((one) => one.model))].map(detail));
    if (!wanted()) return;
    open.predictions.value = found as Prediction[];
    answered.value = true;
    for (const card of cards) if (card.status === "rejected") throw card.reason;
  }

  async function detail(model: string): Promise<void> {
    if (details.value[model]) return;
    let known: ModelDetail | null = null;
    try {
      known = await body(api.GET("/api/models/{model}", { params: { path: { model } } }));
    } catch (error) {
      if (!(error instanceof Problem && error.status === 404)) throw error; // 404: it is no longer on this server
    }
    details.value = { ...details.value, [model]: known };
  }

  let planned: ReturnType<typeof setTimeout> | undefined;
  const stop = watch((change) => {
    if (change.study !== id && change.study !== "") return; // empty: changes may have been missed
    clearTimeout(planned);
    planned = setTimeout(() => void look(), SOON);
  });

  const unsent = {
    unaided: draft<Draft | null>(`read/${id}/unaided`, null),
    aided: draft<Draft | null>(`read/${id}/aided`, null),
  };
  const addendum = draft(`addendum/${id}`, "");
  const reference = draft(`reference/${id}`, NO_REFERENCE);
  const referring = computed(() => reference.value.label !== "" || reference.value.date !== "");
  const stage = computed<ReadDraft["stage"]>(() => (phase.value === "unaided" ? "unaided" : "aided"));
  const saved = computed(() => beginning(reads.value, me.value?.id ?? "", stage.value));
  /** What the form shows: what was typed, else what was last saved. */
  const form = computed(() => unsent[stage.value].value ?? saved.value);
  const dirty = computed(
    () => addendum.value.trim() !== "" || (phase.value !== "done" && !same(form.value, saved.value)),
  );

  const unsaved = computed(() => dirty.value || referring.value);
  // What was typed stays when the study is left, and so does the warning. Without a reader there is nothing to compare with.
  const stopKeeping = effect(() => {
    if (me.value !== null) keep(id, unsaved.value && !gone.value);
  });

  async function send(state: ReadDraft["state"]): Promise<void> {
    const [at, said] = [stage.value, form.value];
    const content = state === "addendum" ? { likelihoods: {}, conclusion: null, text: addendum.value } : said;
    try {
      const made = await body(
        api.POST("/api/studies/{study}/reads", { params: { path }, body: { stage: at, state, ...content } }),
      );
      // What was typed while it was sent stays typed.
      if (state === "addendum") addendum.value = "";
      else if (unsent[at].value === said) unsent[at].value = null;
      reads.value = [...reads.value.filter((one) => one.id !== made.id), made];
    } catch (error) {
      // In free mode the server knows of answers that were shown in an earlier visit: the report is an aided one then.
      if (at === "unaided" && error instanceof Problem && error.status === 409 && !about.value?.reads_first) {
        unsent.aided.value = said;
        shown.value = true;
      }
      throw error;
    } finally {
      await look();
    }
  }

  const desk = {
    id,
    open,
    reads,
    phase,
    details,
    problem,
    gone,
    answered,
    tab: signal<Tab>("read"),
    unsent,
    addendum,
    /** What is typed as a reference result, and whether anything is. */
    reference,
    referring,
    stage,
    form,
    /** Whether the report holds what is not saved; `unsaved`: whether anything does. */
    dirty,
    unsaved,
    send,
    look,
    view,
    /** Show the answers; in free mode this ends the possibility of an unaided read. */
    show: async () => {
      unsent.aided.value ??= unsent.unaided.value; // what was typed goes on in the report
      unsent.unaided.value = null;
      shown.value = true;
      await look();
    },
    readFirst: () => {
      readingFirst.value = true;
    },
    close: () => {
      stop();
      stopKeeping();
      clearTimeout(planned);
    },
  };
  try {
    await Promise.all([answers(), loadModels()]);
  } catch (error) {
    desk.close();
    throw error;
  }
  desk.tab.value = mayShow(phase.value) ? "model" : "read";
  return desk;
}
export type Desk = Awaited<ReturnType<typeof openDesk>>;

/** Change what the form of the read holds. */
export function edit(desk: Desk, change: Partial<Draft>): void {
  const target: Signal<Draft | null> = desk.unsent[desk.stage.value];
  target.value = { ...desk.form.value, ...change };
}
