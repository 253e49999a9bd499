// The versions of a report as they were written; none is ever changed.

import { modelName } from "../../api/models";
import type { Read } from "../../api/types";
import { formatDateTime, t } from "../../i18n";
import { readerTerm } from "./reader-term";
import type { StudyStore } from "./study-store";

interface Props {
  title: string;
  reads: readonly Read[];
  store: StudyStore;
  /** Whether to show the reader of each version. */
  showReader?: boolean;
}

export function ReadVersions({ title, reads, store, showReader }: Props) {
  const sorted = [...reads].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : b.version - a.version));
  return (
    <section class="versions">
      <h2>{title}</h2>
      <ol>
        {sorted.map((read) => (
          <li key={read.id} class="sheet" data-state={read.state}>
            <h3>
              {showReader && <span class="mono">{read.reader.slice(0, 8)} </span>}
              {t("read.version", { n: read.version })}: {t(`read.stage-${read.stage}`)}, {t(`read.state-${read.state}`)}
            </h3>
            <p class="small soft">
              <time dateTime={read.at}>{formatDateTime(read.at)}</time>. {describeShownAnswers(read, store)}
            </p>
            <ReadContent read={read} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function ReadContent({ read }: { read: Read }) {
  const likelihoods = Object.entries(read.likelihoods);
  return (
    <>
      {read.conclusion && (
        <p>
          {t("read.conclusion")}: <strong>{readerTerm(read.conclusion)}</strong>
        </p>
      )}
      {likelihoods.length > 0 && (
        <ul class="small plain">
          {likelihoods.map(([label, value]) => (
            <li key={label}>
              {readerTerm(label)}: {t("read.of-100", { n: Math.round(value * 100) })}
            </li>
          ))}
        </ul>
      )}
      {read.text && <p class="free-text">{read.text}</p>}
    </>
  );
}

/** Return in words which answers the reader had been shown when a version was written. */
function describeShownAnswers(read: Read, store: StudyStore): string {
  if (read.displayed.length === 0) return t("read.shown-none");
  const modelByPrediction = new Map(store.open.study.value.predictions.map((one) => [one.id, one.model]));
  const models = [...new Set(read.displayed.map((id) => modelName(modelByPrediction.get(id) ?? id.slice(0, 8))))];
  return t("read.shown", { n: read.displayed.length, models: models.join(", ") });
}
