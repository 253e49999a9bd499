// The networks that this browser keeps and those that it can download, with their sizes before anything is fetched.
import { useSignal } from "@preact/signals";
import { ConfirmDialog } from "../../components/dialog";
import { findPatterns } from "../../components/patterns";
import type { ListedBundle } from "../../device/bundle";
import { RUNTIME_FILE } from "../../device/runtime-file";
import { t } from "../../i18n";
import { DeviceProblemNote } from "./device-problem";
import {
  bundleName,
  chosen,
  classifiers,
  fetchBundles,
  keptSize,
  lacksRuntime,
  leftoverNames,
  leftovers,
  missingSize,
  offered,
  offerProblem,
  problem,
  progress,
  remove,
  sizeOf,
} from "./device-state";
import { Resources } from "./resources";
import { formatSize } from "./size";

/** `first`: nothing can be asked yet, and this is the start page. */
export function NetworksPage({ first = false }: { first?: boolean }) {
  const present = classifiers();
  const left = leftovers();
  const listed = (offered.value?.bundles ?? []).filter(
    (bundle) => bundle.role === "classifier" && !present.some((one) => one.identity === bundle.identity),
  );
  const wanted = useSignal<string[] | null>(null);
  const selected = wanted.value ?? listed.map((bundle) => bundle.identity);
  const removing = useSignal<ListedBundle | null>(null);
  const companions = (offered.value?.bundles ?? []).filter(({ role }) => role !== "classifier");
  return (
    <div class="page device">
      <h1>{first ? t("device.title") : t("device.networks")}</h1>
      {first && <p class="lead">{t("device.lead")}</p>}
      {problem.value !== null && <DeviceProblemNote error={problem.value} />}
      {offerProblem.value !== null && <DeviceProblemNote error={offerProblem.value} />}
      {leftoverNames().length > 0 && !progress.value && (
        <section class="sheet">
          <h2>{t("device.unfinished")}</h2>
          <p>
            {t("device.unfinished-note", {
              names: leftoverNames().join(", "),
              size: formatSize(keptSize()),
            })}
          </p>
          <button type="button" onClick={() => void remove(left.map(({ identity }) => identity))}>
            {t("device.remove")}
          </button>
        </section>
      )}
      {present.length > 0 && (
        <section class="sheet">
          <h2>{t("device.kept")}</h2>
          {present.map((bundle) => (
            <div class="pick" key={bundle.identity} data-on={chosen.value.includes(bundle.identity)}>
              <Words bundle={bundle} />
              <button
                type="button"
                onClick={() => {
                  removing.value = bundle;
                }}
              >
                {t("device.remove")}
              </button>
            </div>
          ))}
          <p class="soft small">{t("device.kept-size", { size: formatSize(keptSize()) })}</p>
        </section>
      )}
      {(listed.length > 0 || lacksRuntime()) && (
        <section class="sheet">
          <h2>{t("device.offered")}</h2>
          {listed.map((bundle) => (
            <div class="pick" key={bundle.identity} data-on={selected.includes(bundle.identity)}>
              <label>
                <input
                  type="checkbox"
                  checked={selected.includes(bundle.identity)}
                  onChange={(event) => {
                    const others = selected.filter((one) => one !== bundle.identity);
                    wanted.value = event.currentTarget.checked ? [...others, bundle.identity] : others;
                  }}
                />
                <Words bundle={bundle} />
              </label>
            </div>
          ))}
          <p class="soft small">
            {t("device.with-companions", {
              runtime: formatSize(RUNTIME_FILE.bytes),
              companions: formatSize(companions.reduce((sum, one) => sum + sizeOf(one), 0)),
            })}
          </p>
          {progress.value ? (
            <p role="status">
              <progress value={progress.value.done} max={progress.value.all} />{" "}
              {t("device.progress", { done: formatSize(progress.value.done), all: formatSize(progress.value.all) })}
            </p>
          ) : (
            <button
              type="button"
              class="primary"
              disabled={selected.length === 0 && !lacksRuntime()}
              onClick={() => void fetchBundles(selected)}
            >
              {t("device.fetch", { size: formatSize(missingSize(selected)) })}
            </button>
          )}
        </section>
      )}
      {offered.value && listed.length === 0 && present.length === 0 && <p>{t("device.none-offered")}</p>}
      {offered.value === null && offerProblem.value === null && <p class="soft">{t("device.offline")}</p>}
      {!first && (
        <>
          <h2>{t("device.resources")}</h2>
          <Resources open />
        </>
      )}
      {removing.value && (
        <ConfirmDialog
          title={t("device.remove-what", { name: removing.value.name })}
          confirmLabel={t("device.remove")}
          onConfirm={async () => {
            if (removing.value) await remove([removing.value.identity]);
          }}
          onClose={() => {
            removing.value = null;
          }}
        >
          <p>{t("device.remove-note")}</p>
        </ConfirmDialog>
      )}
    </div>
  );
}

function Words({ bundle }: { bundle: ListedBundle }) {
  return (
    <span class="pick-words">
      <span class="pick-name">
        <a href={`#/networks/${bundle.identity}`}>{bundleName(bundle)}</a>, {formatSize(sizeOf(bundle))}
      </span>
      <span class="soft small">{t("model.looks-for", { labels: findPatterns(bundle).join(", ") })}</span>
    </span>
  );
}
