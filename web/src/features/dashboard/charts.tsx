// The few charts: bars that begin at zero, with their numbers beside or beneath them.
import { language, number, t } from "../../i18n";

interface Share {
  key: string;
  name: string;
  part: number;
  whole: number;
  says: string;
}

/** Parts of wholes, each as a bar of full length with its part filled: a small whole is not a short bar. */
export function Shares({ caption, rows }: { caption: string; rows: Share[] }) {
  return (
    <table class="shares">
      <caption class="hidden">{caption}</caption>
      <tbody>
        {rows.map(({ key, name, part, whole, says }) => (
          <tr key={key}>
            <th scope="row">{name}</th>
            <td>
              <svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                <path class="share-whole" d="M0 5H100" />
                {part > 0 && <path class="share-part" d={`M0 5H${(100 * part) / whole}`} />}
              </svg>
            </td>
            <td>
              {t("dash.of", { part: number(part, 0), whole: number(whole, 0) })} {says && <span>= {says}</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const MOST = 92;
const DAY = 24 * 3600 * 1000;

/** Studies received by day, days without any among them; the newest three months. */
export function Days({ days }: { days: { day: string; studies: number }[] }) {
  const counts = new Map(days.map(({ day, studies }) => [day, studies]));
  const last = Date.parse(days.at(-1)?.day ?? "");
  const first = Math.max(Date.parse(days[0]?.day ?? ""), last - (MOST - 1) * DAY);
  const bars: { day: string; studies: number }[] = [];
  for (let time = first; time <= last; time += DAY) {
    const day = new Date(time).toISOString().slice(0, 10);
    bars.push({ day, studies: counts.get(day) ?? 0 });
  }
  const most = Math.max(...bars.map(({ studies }) => studies));
  const shown = (day: string) =>
    new Date(day).toLocaleDateString(language.value, { dateStyle: "medium", timeZone: "UTC" });
  return (
    <figure class="days">
      <figcaption>{t("dash.days")}</figcaption>
      <svg viewBox={`0 0 ${Math.max(bars.length, 14) * 10} 100`} preserveAspectRatio="none" aria-hidden="true">
        <path class="line-axis" d={`M0 99.5H${Math.max(bars.length, 14) * 10}`} />
        {bars.map(({ day, studies }, index) => (
          <rect
            key={day}
            class="day"
            x={index * 10 + 1.5}
            width={7}
            y={99 - (92 * studies) / most}
            height={(92 * studies) / most}
          />
        ))}
      </svg>
      <p class="soft small">
        {t("dash.days-are", { first: shown(bars[0]?.day ?? ""), last: shown(bars.at(-1)?.day ?? ""), most })}
      </p>
      <details>
        <summary>{t("dash.table")}</summary>
        <table class="counts">
          <thead>
            <tr>
              <th scope="col">{t("dash.day")}</th>
              <th scope="col">{t("dash.studies")}</th>
            </tr>
          </thead>
          <tbody>
            {[...days].reverse().map(({ day, studies }) => (
              <tr key={day}>
                <th scope="row">{shown(day)}</th>
                <td>{number(studies, 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
