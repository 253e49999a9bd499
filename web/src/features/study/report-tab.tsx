// The reader's own report: unaided first, then with the answers; final once, addenda afterwards.
import { useSignal } from "@preact/signals";
import { about, me } from "../../api/client";
import { nameOf } from "../../api/models";
import { Confirm } from "../../components/dialog";
import { ProblemNote } from "../../components/problem";
import { say } from "../../components/toast";
import { t } from "../../i18n";
import { decisionWords } from "./model-answer";
import { answersOf, usable } from "./predictions";
import { ReadForm, readLabels } from "./read-form";
import { Versions } from "./read-versions";
import { Choice } from "./reading-order";
import { mayShow } from "./reading-phase";
import { type Desk, edit } from "./study-store";
import { focusTab } from "./tabs";

export function ReadTab({ desk }: { desk: Desk }) {
  const phase = desk.phase.value;
  const mine = me.value?.id ?? "";
  const own = desk.reads.value.filter((read) => read.reader === mine);
  const others = mayShow(phase) ? desk.reads.value.filter((read) => read.reader !== mine) : [];
  return (
    <>
      {phase === "choice" && <Choice desk={desk} />}
      {(phase === "unaided" || phase === "aided") && <Report desk={desk} />}
      {phase === "done" && <Addendum desk={desk} />}
      {own.length > 0 && <Versions title={t("read.versions")} reads={own} desk={desk} />}
      {others.length > 0 && <Versions title={t("read.others")} reads={others} desk={desk} named />}
    </>
  );
}

function Report({ desk }: { desk: Desk }) {
  const stage = desk.stage.value;
  const asking = useSignal(false);
  const problem = useSignal<unknown>(null);
  const busy = useSignal(false);
  const form = desk.form.value;
  const unset = readLabels(desk).filter((label) => form.likelihoods[label] === undefined).length;
  const save = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    problem.value = null;
    try {
      await desk.send("draft");
      say(t("read.saved"));
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  };
  const lock = async () => {
    problem.value = null;
    try {
      await desk.send("final");
    } catch (error) {
      if (desk.stage.value === stage) throw error;
      problem.value = error; // it turned into an aided one: what was about to be locked is none any more
      return;
    }
    say(t(`read.locked-${stage}`));
    if (stage === "unaided") desk.tab.value = "model";
    focusTab();
  };
  const free = stage === "unaided" && !about.value?.reads_first;
  return (
    <form class="report" onSubmit={save}>
      <h2>{t(`read.title-${stage}`)}</h2>
      <p class="small soft">{t(`read.words-${stage}`)}</p>
      {stage === "aided" && <Shown desk={desk} />}
      <ReadForm key={stage} desk={desk} onChange={(change) => edit(desk, change)} />
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <div class="actions">
        <button type="submit" disabled={busy.value || !desk.dirty.value}>
          {t("read.save")}
        </button>
        <button
          type="button"
          class="primary"
          disabled={form.conclusion === null}
          aria-describedby={form.conclusion === null ? "read-needs" : undefined}
          onClick={() => {
            asking.value = true;
          }}
        >
          {t(`read.lock-${stage}`)}
        </button>
      </div>
      {form.conclusion === null && (
        <p class="small soft" id="read-needs">
          {t("read.needs")}
        </p>
      )}
      {free && <Skip desk={desk} />}
      {asking.value && (
        <Confirm
          title={t(`read.ask-${stage}`)}
          doIt={t(`read.lock-${stage}`)}
          act={lock}
          onClose={() => {
            asking.value = false;
          }}
        >
          <p>{t(`read.ask-words-${stage}`)}</p>
          {unset > 0 && <p class="note">{t("read.unset-left", { n: unset })}</p>}
        </Confirm>
      )}
    </form>
  );
}

/** In free mode the answers may be had without an unaided read; it can't be had afterwards. */
function Skip({ desk }: { desk: Desk }) {
  const asking = useSignal(false);
  return (
    <p class="small">
      <button
        type="button"
        class="linkish"
        onClick={() => {
          asking.value = true;
        }}
      >
        {t("read.skip")}
      </button>
      {asking.value && (
        <Confirm
          title={t("read.skip-ask")}
          doIt={t("panel.show-answers")}
          act={async () => {
            desk.tab.value = "model";
            await desk.show();
            focusTab();
          }}
          onClose={() => {
            asking.value = false;
          }}
        >
          <p>{t("panel.choice-words")}</p>
        </Confirm>
      )}
    </p>
  );
}

/** What the models said, in a line each: a report that was written with them should be written next to them. */
function Shown({ desk }: { desk: Desk }) {
  const { predictions, image } = desk.open;
  const { newest } = answersOf(predictions.value, image.value?.id);
  const said = newest.filter((one) => usable(one));
  if (said.length === 0) return null;
  return (
    <ul class="plain small shown" aria-label={t("read.answers")}>
      {said.map((one) => (
        <li key={one.id}>
          <span class="soft">{nameOf(one.model)}:</span> {decisionWords(one.result ?? {})}
        </li>
      ))}
    </ul>
  );
}

function Addendum({ desk }: { desk: Desk }) {
  const problem = useSignal<unknown>(null);
  const add = async (event: Event) => {
    event.preventDefault();
    problem.value = null;
    try {
      await desk.send("addendum");
      say(t("read.added"));
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <form class="report" onSubmit={add}>
      <h2>{t("read.title-done")}</h2>
      <p class="small soft">{t("read.words-done")}</p>
      <label class="field">
        <span>{t("read.addendum")}</span>
        <textarea
          rows={3}
          maxLength={10_000}
          value={desk.addendum.value}
          onInput={(event) => {
            desk.addendum.value = event.currentTarget.value;
          }}
        />
      </label>
      {problem.value !== null && <ProblemNote error={problem.value} />}
      <div class="actions">
        <button type="submit" disabled={desk.addendum.value.trim() === ""}>
          {t("read.add")}
        </button>
      </div>
    </form>
  );
}
