// The first page: choose a picture, read the answers.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../../components/icons";
import { showToast } from "../../components/toast";
import { predict, readFile } from "../../device/engine";
import { formatNumber, t } from "../../i18n";
import { decisionText } from "../study/decision-text";
import { DeviceAnswer } from "./device-answer";
import { DeviceProblemNote } from "./device-problem";
import {
  bundleName,
  cards,
  chosen,
  classifiers,
  isDamage,
  isReady,
  kept,
  problem as keptProblem,
  noteProblem,
  type Shown,
  shown,
  wasAsked,
} from "./device-state";
import { addEntry } from "./history";
import { NetworkSheet } from "./network-sheet";
import { NetworksPage } from "./networks-page";
import { PictureView } from "./picture-view";
import { Resources } from "./resources";

const ACCEPTED = "image/png,image/jpeg,application/dicom,.dcm,.dicom,.png,.jpg,.jpeg";

export function AskPage() {
  const busy = useSignal(false);
  const problem = useSignal<unknown>(null);
  /** The name of the file that the problem is about. */
  const failed = useSignal("");
  const choosing = useSignal(false);
  useEffect(() => {
    // Files that are dropped on the page are chosen too.
    const onDrop = (event: DragEvent) => {
      const [file] = event.dataTransfer?.files ?? [];
      if (file && isReady()) void ask(file, false);
    };
    addEventListener("drop", onDrop);
    return () => removeEventListener("drop", onDrop);
  }, []);
  if (!isReady()) return <NetworksPage first />;
  const run = async (picture: Shown, override: boolean) => {
    busy.value = true;
    problem.value = null;
    const start = performance.now();
    try {
      const answered = await predict(picture.file, [...chosen.value], { camera: picture.camera, override });
      shown.value = { ...picture, answered, waited: performance.now() - start };
      await remember(shown.value).catch(() => showToast(t("device.not-kept"), true));
    } catch (error) {
      if (isDamage(error)) await noteProblem(error);
      else {
        problem.value = error;
        failed.value = picture.name;
      }
    } finally {
      busy.value = false;
    }
  };
  const ask = async (file: File, camera: boolean) => {
    try {
      shown.value = { name: file.name, file: await readFile(file), camera, answered: null, waited: null };
    } catch (error) {
      shown.value = null;
      problem.value = error;
      failed.value = file.name;
      return;
    }
    await run(shown.value, false);
  };
  const picture = shown.value;
  const names = classifiers().filter((bundle) => chosen.value.includes(bundle.identity));
  return (
    <div class="page device" aria-busy={busy.value}>
      <h1 class={picture ? "hidden" : undefined}>{t("device.title")}</h1>
      <div class="device-choose">
        <PictureButton label={t("device.pick")} icon="image" onPick={(file) => void ask(file, false)} primary />
        <PictureButton label={t("device.camera")} icon="camera" camera onPick={(file) => void ask(file, true)} />
        <button
          type="button"
          class="device-networks"
          onClick={() => {
            choosing.value = true;
          }}
        >
          <Icon name="models" />
          {t("device.asked", { names: names.map(({ name }) => shortName(name)).join(", ") })}
        </button>
      </div>
      {choosing.value && (
        <NetworkSheet
          onClose={() => {
            choosing.value = false;
            // A picture that is shown is asked about again, with the networks chosen now.
            if (picture && picture.answered?.answers.map((one) => one.identity).join() !== chosen.value.join())
              void run(picture, false);
          }}
        />
      )}
      {!picture && <FirstWords />}
      {busy.value && (
        <p class="soft" role="status">
          {t("device.running")}
        </p>
      )}
      {(problem.value ?? keptProblem.value) !== null && (
        <DeviceProblemNote
          error={problem.value ?? keptProblem.value}
          file={problem.value === null ? undefined : failed.value}
        />
      )}
      {picture?.answered && !busy.value && problem.value === null && (
        <Answers picture={picture} onOverride={() => void run(picture, true)} />
      )}
    </div>
  );
}

/** Return a network's name without the one that all built-in ones share. */
const shortName = (name: string) => name.replace(/^pneumoscope-/, "");

function FirstWords() {
  return (
    <div class="sheet device-words">
      <p>{t("device.lead")}</p>
      <p class="soft small">{t("device.kinds")}</p>
      <p class="soft small">{t("device.photographs")}</p>
    </div>
  );
}

function PictureButton({
  label,
  icon,
  camera,
  primary,
  onPick,
}: {
  label: string;
  icon: "image" | "camera";
  camera?: boolean;
  primary?: boolean;
  onPick: (file: File) => void;
}) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class={primary ? "primary" : undefined} onClick={() => input.current?.click()}>
        <Icon name={icon} />
        {label}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        accept={camera ? "image/jpeg,image/png" : ACCEPTED}
        capture={camera ? "environment" : undefined}
        data-pick={camera ? "camera" : "file"}
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? [];
          event.currentTarget.value = ""; // the same file may be chosen again
          if (file) onPick(file);
        }}
      />
    </>
  );
}

function Answers({ picture, onOverride }: { picture: Shown; onOverride: () => void }) {
  const { answered } = picture;
  const current = useSignal(0);
  if (!answered) return null;
  const bundles = kept.value ?? [];
  const withMap = answered.answers[current.value] ?? answered.answers[0];
  const card = withMap && cards.value[withMap.identity];
  return (
    <div class="device-result">
      <div>
        <ul class="device-verdicts">
          {answered.answers.map((answer) => (
            <li key={answer.identity}>
              <span class="soft">
                {shortName(bundles.find((one) => one.identity === answer.identity)?.name ?? "")}:
              </span>{" "}
              <strong>{answer.refused ? t("panel.silent") : decisionText(answer)}</strong>
            </li>
          ))}
        </ul>
        <PictureView
          answered={answered}
          answer={withMap}
          labels={card?.labels.map((label) => label.name) ?? []}
          name={picture.name}
        />
        {answered.answers.filter((one) => one.heatmap.length > 0).length > 1 && (
          <label class="field">
            <span>{t("device.layers-of")}</span>
            <select
              value={String(current.value)}
              onChange={(event) => {
                current.value = Number(event.currentTarget.value);
              }}
            >
              {answered.answers.map(({ identity }, k) => (
                <option key={identity} value={String(k)}>
                  {bundles.find((bundle) => bundle.identity === identity)?.name ?? identity.slice(0, 12)}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      <div class="answers" aria-live="polite">
        {answered.answers.map((answer) => {
          const bundle = bundles.find((one) => one.identity === answer.identity);
          const own = cards.value[answer.identity];
          if (!bundle || !own) return null;
          const may = answer.codes.includes("photograph") ? onOverride : undefined;
          return <DeviceAnswer key={answer.identity} answer={answer} bundle={bundle} card={own} onOverride={may} />;
        })}
        <p class="small soft" data-facts>
          {picture.name}, {answered.width} × {answered.height},{" "}
          {t(wasAsked(answered) ? "device.time" : "device.time-read", {
            decode: formatNumber(answered.times.decode, 0),
            pipeline: formatNumber(answered.times.pipeline, 0),
          })}
        </p>
        <Resources />
      </div>
    </div>
  );
}

/** Keep the answers in the history: facts and numbers, no image. */
async function remember({ name, answered }: Shown): Promise<void> {
  if (!answered) return;
  const bundles = (kept.value ?? []).filter((bundle) =>
    answered.answers.some((one) => one.identity === bundle.identity),
  );
  await addEntry({
    at: new Date().toISOString(),
    file: name,
    sha256: answered.sha256,
    width: answered.width,
    height: answered.height,
    photograph: answered.photograph,
    names: Object.fromEntries(bundles.map((bundle) => [bundle.identity, bundleName(bundle)])),
    labels: Object.fromEntries(bundles.map((bundle) => [bundle.identity, bundle.labels])),
    answers: answered.answers.map(({ heatmap: _, ...answer }) => answer),
    times: answered.times,
  });
}
