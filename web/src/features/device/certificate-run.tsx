// Runs a network's graph by itself on many files and saves the numbers, for `certify --browser FILE`.
import { useSignal } from "@preact/signals";
import type { ListedBundle } from "../../device/bundle";
import { loadModels, measure, readFile } from "../../device/engine";
import type { Measured } from "../../device/messages";
import { t } from "../../i18n";
import { DeviceProblemNote } from "./device-problem";
import { chosen, isDamage, noteProblem } from "./device-state";
import { saveFile } from "./save";

const SCHEMA = "pneumoscope-browser-run/1";

export function CertificateRun({ bundle }: { bundle: ListedBundle }) {
  const done = useSignal<[number, number] | null>(null);
  const problem = useSignal<unknown>(null);
  /** The file that is read, so that a problem can name it. */
  const failed = useSignal("");
  const run = async (files: File[]) => {
    problem.value = null;
    failed.value = "";
    done.value = [0, files.length];
    try {
      const { engine } = await loadModels([bundle.identity]);
      const images: Omit<Measured, "kind">[] = [];
      for (const file of files) {
        failed.value = file.name;
        const { kind: _, ...image } = await measure(await readFile(file), bundle.identity);
        images.push(image);
        done.value = [images.length, files.length];
      }
      failed.value = "";
      const about = `${engine}; ${navigator.userAgent}`;
      const made = { schema: SCHEMA, bundle: bundle.identity, about, labels: bundle.labels, images };
      saveFile(`${JSON.stringify(made, null, 1)}\n`, `browser-${bundle.name}.json`);
    } catch (error) {
      if (isDamage(error)) await noteProblem(error);
      problem.value = error;
    } finally {
      done.value = null;
      loadModels(chosen.value).catch(noteProblem);
    }
  };
  return (
    <>
      <p>{t("device.certificate-lead")}</p>
      <label class="field">
        <span>{t("device.certificate-files")}</span>
        <input
          type="file"
          multiple
          data-pick="certificate"
          disabled={done.value !== null}
          onChange={(event) => {
            const files = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = "";
            if (files.length) void run(files);
          }}
        />
      </label>
      {done.value && (
        <p role="status">
          <progress value={done.value[0]} max={done.value[1]} /> {done.value[0]} / {done.value[1]}
        </p>
      )}
      {problem.value !== null && <DeviceProblemNote error={problem.value} file={failed.value} />}
    </>
  );
}
