// What each routing rule would make of a study's results, and why. Nothing is made and nothing is sent.
import { useSignal } from "@preact/signals";
import { Fragment } from "preact";
import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { Badge } from "../../components/badge";
import { ProblemNote } from "../../components/problem";
import { Said } from "../../components/said";
import { t, translateTerm } from "../../i18n";

type Trial = components["schemas"]["DryRunOut"];

export function RuleTrial() {
  const study = useSignal("");
  const results = useSignal<Trial[] | null>(null);
  const problem = useSignal<unknown>(null);
  const run = async (event: Event) => {
    event.preventDefault();
    results.value = null;
    problem.value = null;
    // An address of this page is as good as the number in it.
    const number = study.value.trim().split("/").at(-1) ?? "";
    try {
      results.value = await body(api.POST("/api/archive/dry-run", { body: { study: number } }));
    } catch (error) {
      problem.value = error;
    }
  };
  return (
    <section aria-labelledby="archive-trial" class="sheet">
      <h2 id="archive-trial">{t("archive.trial")}</h2>
      <p class="soft">{t("archive.trial-what")}</p>
      <form class="inline" onSubmit={(event) => void run(event)}>
        <label class="field">
          <span>{t("archive.trial-study")}</span>
          <input
            required
            maxLength={200}
            autocomplete="off"
            spellcheck={false}
            value={study.value}
            onInput={(event) => {
              study.value = event.currentTarget.value;
            }}
          />
        </label>
        <button type="submit">{t("archive.trial-run")}</button>
      </form>
      <div role="status">
        {problem.value !== null && <ProblemNote error={problem.value} />}
        {results.value?.length === 0 && <p>{t("archive.trial-none")}</p>}
        {results.value?.map((one) => (
          <TrialResult key={`${one.kind} ${one.model}`} result={one} />
        ))}
      </div>
    </section>
  );
}

function TrialResult({ result }: { result: Trial }) {
  return (
    <div class="archive-trial">
      <h3>
        {translateTerm("archive.result", result.kind)} {result.model && <span class="soft">{result.model}</span>}
      </h3>
      <p>
        {result.destinations.length === 0
          ? t("archive.trial-nowhere")
          : t("archive.trial-goes", { destinations: result.destinations.join(", ") })}
      </p>
      <ul>
        {result.decisions.map((one) => (
          <li key={one.rule}>
            <Badge tone={one.matches ? "good" : "plain"}>
              {t(one.matches ? "archive.matches" : "archive.no-match")}
            </Badge>{" "}
            <strong>{one.rule}</strong>{" "}
            <span class="soft">
              {one.reasons.map((reason, k) => (
                <Fragment key={reason}>
                  {k > 0 && "; "}
                  <Said by="archive" text={reason} />
                </Fragment>
              ))}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
