// The versions of a report as they were written; none is ever changed.

import { nameOf } from "../../api/models";
import type { Read } from "../../api/types";
import { moment, t } from "../../i18n";
import { ownWord } from "./read-form";
import type { Desk } from "./study-store";

interface Props {
  title: string;
  reads: readonly Read[];
  desk: Desk;
  /** Say whose each is. */
  named?: boolean;
}

export function Versions({ title, reads, desk, named }: Props) {
  const sorted = [...reads].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : b.version - a.version));
  return (
    <section class="versions">
      <h2>{title}</h2>
      <ol>
        {sorted.map((read) => (
          <li key={read.id} class="sheet" data-state={read.state}>
            <h3>
              {named && <span class="mono">{read.reader.slice(0, 8)} </span>}
              {t("read.version", { n: read.version })}: {t(`read.stage-${read.stage}`)}, {t(`read.state-${read.state}`)}
            </h3>
            <p class="small soft">
              <time dateTime={read.at}>{moment(read.at)}</time>. {displayed(read, desk)}
            </p>
            <Content read={read} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function Content({ read }: { read: Read }) {
  const likelihoods = Object.entries(read.likelihoods);
  return (
    <>
      {read.conclusion && (
        <p>
          {t("read.conclusion")}: <strong>{ownWord(read.conclusion)}</strong>
        </p>
      )}
      {likelihoods.length > 0 && (
        <ul class="small plain">
          {likelihoods.map(([label, value]) => (
            <li key={label}>
              {ownWord(label)}: {t("read.of-100", { n: Math.round(value * 100) })}
            </li>
          ))}
        </ul>
      )}
      {read.text && <p class="free-text">{read.text}</p>}
    </>
  );
}

/** Return in words which answers the reader had been shown when a version was written. */
function displayed(read: Read, desk: Desk): string {
  if (read.displayed.length === 0) return t("read.shown-none");
  const known = new Map(desk.open.study.value.predictions.map((one) => [one.id, one.model]));
  const models = [...new Set(read.displayed.map((id) => nameOf(known.get(id) ?? id.slice(0, 8))))];
  return t("read.shown", { n: read.displayed.length, models: models.join(", ") });
}
