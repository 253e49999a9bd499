// The store of one open study: what the server has sent so far, and when more may be fetched.
import { computed, effect, type Signal, signal } from "@preact/signals";
import { about, api, body, me, Problem } from "../../api/client";
import { markUnsaved, openDraft } from "../../api/drafts";
import { watch } from "../../api/events";
import { loadModels } from "../../api/models";
import type { Image, ModelDetail, Prediction, Read, ReadDraft, ReferenceDraft } from "../../api/types";
import { createOpenStudy } from "./open-study";
import { type Draft, findPhase, initialDraft, isSameDraft, mayShowAnswers } from "./reading-phase";

export type TabName = "read" | "model" | "reference" | "study";
export const EMPTY_REFERENCE: ReferenceDraft = { standard: "rt-pcr", label: "", date: "" };
const REFRESH_DELAY = 150; // milliseconds: events come in bursts, and one refresh covers them all

/** Fetch a study and its reads, and create its store. It fetches no model's answer before the reader may see one. */
export async function createStudyStore(id: string) {
  const path = { study: id };
  const study = await body(api.GET("/api/studies/{study}", { params: { path } }));
  const open = createOpenStudy(study);
  const reads = signal<Read[]>(await body(api.GET("/api/studies/{study}/reads", { params: { path } })));
  /** Whether the reader, in free mode, chose to see the answers or to read first. */
  const answersShown = openDraft(`shown/${id}`, false);
  const readingFirst = openDraft(`first/${id}`, false);
  const phase = computed(() =>
    findPhase({
      reads: reads.value,
      reader: me.value?.id ?? "",
      readsFirst: about.value?.reads_first ?? true,
      answersShown: answersShown.value || open.study.value.own_read === "shown",
      readingFirst: readingFirst.value,
    }),
  );
  const details = signal<Record<string, ModelDetail | null>>({});
  const problem = signal<unknown>(null);
  const erased = signal(false);
  const answersLoaded = signal(false);

  /** Show another image. Strokes and overlay belong to the previous image and are removed. */
  function showImage(image: Image | null): void {
    if (image?.id === open.image.value?.id) return;
    open.brush.value = null;
    open.strokes.value = [];
    open.overlay.value = null;
    open.image.value = image;
  }

  let latestRequest = 0;
  /** Fetch the study again. If two refreshes overlap, only the later one counts. */
  async function refresh(): Promise<void> {
    latestRequest += 1;
    const requestNumber = latestRequest;
    try {
      const [current, newReads] = await Promise.all([
        body(api.GET("/api/studies/{study}", { params: { path } })),
        body(api.GET("/api/studies/{study}/reads", { params: { path } })),
      ]);
      if (requestNumber !== latestRequest) return;
      [open.study.value, reads.value] = [current, newReads];
      if (!current.images.some((image) => image.id === open.image.value?.id)) showImage(current.images[0] ?? null);
      await fetchAnswers(() => requestNumber === latestRequest);
      problem.value = null;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) erased.value = true;
      else if (!(error instanceof Problem && error.status === 401)) problem.value = error;
    }
  }

  /** Fetch the answers if the reader may see them: the server records that they were shown. */
  async function fetchAnswers(isCurrent = () => true): Promise<void> {
    if (!mayShowAnswers(phase.value)) return;
    const predictions = await body(api.GET("/api/studies/{study}/predictions", { params: { path } }));
    // The cards come first, so that an answer appears together with its warnings and limits.
    const cards = await Promise.allSettled([...new Set(predictions.map((one) => one.model))].map(fetchModel));
    if (!isCurrent()) return;
    open.predictions.value = predictions as Prediction[];
    answersLoaded.value = true;
    for (const card of cards) if (card.status === "rejected") throw card.reason;
  }

  async function fetchModel(model: string): Promise<void> {
    if (details.value[model]) return;
    let detail: ModelDetail | null = null;
    try {
      detail = await body(api.GET("/api/models/{model}", { params: { path: { model } } }));
    } catch (error) {
      if (!(error instanceof Problem && error.status === 404)) throw error; // 404: it is no longer on this server
    }
    details.value = { ...details.value, [model]: detail };
  }

  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = watch((change) => {
    if (change.study !== id && change.study !== "") return; // empty: changes may have been missed
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), REFRESH_DELAY);
  });

  const unsavedDrafts = {
    unaided: openDraft<Draft | null>(`read/${id}/unaided`, null),
    aided: openDraft<Draft | null>(`read/${id}/aided`, null),
  };
  const addendum = openDraft(`addendum/${id}`, "");
  const reference = openDraft(`reference/${id}`, EMPTY_REFERENCE);
  const referenceDirty = computed(() => reference.value.label !== "" || reference.value.date !== "");
  const stage = computed<ReadDraft["stage"]>(() => (phase.value === "unaided" ? "unaided" : "aided"));
  const savedDraft = computed(() => initialDraft(reads.value, me.value?.id ?? "", stage.value));
  /** What the form shows: what was typed, else what was last saved. */
  const form = computed(() => unsavedDrafts[stage.value].value ?? savedDraft.value);
  const dirty = computed(
    () => addendum.value.trim() !== "" || (phase.value !== "done" && !isSameDraft(form.value, savedDraft.value)),
  );

  const unsaved = computed(() => dirty.value || referenceDirty.value);
  // Unsaved text and its warning stay when the reader leaves the study. Without a user there is nothing to compare.
  const stopMarking = effect(() => {
    if (me.value !== null) markUnsaved(id, unsaved.value && !erased.value);
  });

  async function sendRead(state: ReadDraft["state"]): Promise<void> {
    const [currentStage, draft] = [stage.value, form.value];
    const content = state === "addendum" ? { likelihoods: {}, conclusion: null, text: addendum.value } : draft;
    try {
      const created = await body(
        api.POST("/api/studies/{study}/reads", { params: { path }, body: { stage: currentStage, state, ...content } }),
      );
      // Text that was typed during the request stays.
      if (state === "addendum") addendum.value = "";
      else if (unsavedDrafts[currentStage].value === draft) unsavedDrafts[currentStage].value = null;
      reads.value = [...reads.value.filter((one) => one.id !== created.id), created];
    } catch (error) {
      // In free mode the server may have shown answers in an earlier visit: the read is then an aided one.
      if (currentStage === "unaided" && error instanceof Problem && error.status === 409 && !about.value?.reads_first) {
        unsavedDrafts.aided.value = draft;
        answersShown.value = true;
      }
      throw error;
    } finally {
      await refresh();
    }
  }

  const store = {
    id,
    open,
    reads,
    phase,
    details,
    problem,
    erased,
    answersLoaded,
    tab: signal<TabName>("read"),
    unsavedDrafts,
    addendum,
    /** The reference result being entered; `referenceDirty`: whether it has content. */
    reference,
    referenceDirty,
    stage,
    form,
    /** Whether the report has unsaved changes; `unsaved`: whether the report or the reference result has. */
    dirty,
    unsaved,
    sendRead,
    refresh,
    showImage,
    /** Show the answers; in free mode an unaided read is then no longer possible. */
    showAnswers: async () => {
      unsavedDrafts.aided.value ??= unsavedDrafts.unaided.value; // the text moves to the report
      unsavedDrafts.unaided.value = null;
      answersShown.value = true;
      await refresh();
    },
    readFirst: () => {
      readingFirst.value = true;
    },
    close: () => {
      stop();
      stopMarking();
      clearTimeout(timer);
    },
  };
  try {
    await Promise.all([fetchAnswers(), loadModels()]);
  } catch (error) {
    store.close();
    throw error;
  }
  store.tab.value = mayShowAnswers(phase.value) ? "model" : "read";
  return store;
}
export type StudyStore = Awaited<ReturnType<typeof createStudyStore>>;

/** Change the form of the current read. */
export function editRead(store: StudyStore, change: Partial<Draft>): void {
  const target: Signal<Draft | null> = store.unsavedDrafts[store.stage.value];
  target.value = { ...store.form.value, ...change };
}
