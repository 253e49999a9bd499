// The charts of the dashboard: bars that start at zero, with their numbers beside or beneath them.
import { formatNumber, language, t } from "../../i18n";

interface Share {
  key: string;
  name: string;
  part: number;
  total: number;
  note: string;
}

/** Shares, each as a bar of full length with its part filled: the length does not depend on the total. */
export function ShareBars({ caption, rows }: { caption: string; rows: Share[] }) {
  return (
    <table class="shares">
      <caption class="hidden">{caption}</caption>
      <tbody>
        {rows.map(({ key, name, part, total, note }) => (
          <tr key={key}>
            <th scope="row">{name}</th>
            <td>
              <svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                <path class="share-whole" d="M0 5H100" />
                {part > 0 && <path class="share-part" d={`M0 5H${(100 * part) / total}`} />}
              </svg>
            </td>
            <td>
              {t("dash.of", { part: formatNumber(part, 0), whole: formatNumber(total, 0) })}{" "}
              {note && <span>= {note}</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const MAX_DAYS = 92;
const DAY = 24 * 3600 * 1000;

/** Studies received by day in the newest three months, including days without any. */
export function DailyStudies({ days }: { days: { day: string; studies: number }[] }) {
  const counts = new Map(days.map(({ day, studies }) => [day, studies]));
  const last = Date.parse(days.at(-1)?.day ?? "");
  const first = Math.max(Date.parse(days[0]?.day ?? ""), last - (MAX_DAYS - 1) * DAY);
  const bars: { day: string; studies: number }[] = [];
  for (let time = first; time <= last; time += DAY) {
    const day = new Date(time).toISOString().slice(0, 10);
    bars.push({ day, studies: counts.get(day) ?? 0 });
  }
  const highest = Math.max(...bars.map(({ studies }) => studies));
  const formatDay = (day: string) =>
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
            y={99 - (92 * studies) / highest}
            height={(92 * studies) / highest}
          />
        ))}
      </svg>
      <p class="soft small">
        {t("dash.days-are", {
          first: formatDay(bars[0]?.day ?? ""),
          last: formatDay(bars.at(-1)?.day ?? ""),
          most: highest,
        })}
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
                <th scope="row">{formatDay(day)}</th>
                <td>{formatNumber(studies, 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
