// The warnings at the top of a model's page: each stamp in a sentence with its consequence.

import type { Card } from "../../api/card";
import type { ModelDetail } from "../../api/types";
import { Said } from "../../components/said";
import { formatDateTime, t } from "../../i18n";

/** The stamp of a bundle that was trained although the data checks had found a leak between its parts. */
const LEAK = "known leak between its parts: its figures are partly memory";

export function ModelWarnings({ model, card }: { model: ModelDetail; card: Card }) {
  const lastSwitch = model.on ? undefined : model.switches.at(-1);
  const covered = ["not audited", "failed its audit", "its evidence was altered", "confounded", LEAK];
  const others = model.stamps.filter((stamp) => !covered.includes(stamp));
  return (
    <div class="warnings">
      {lastSwitch && (
        <p class="problem">
          {t("model.was-off", { at: formatDateTime(lastSwitch.at) })} <q>{lastSwitch.reason}</q>
        </p>
      )}
      {model.synthetic && <p class="problem">{t("model.warn.synthetic")}</p>}
      {model.audit === "failed" && <p class="problem">{t("model.warn.failed")}</p>}
      {model.audit === "unreadable" && <p class="problem">{t("model.warn.unreadable")}</p>}
      {model.stamps.includes("confounded") && (
        <div class="problem">
          <p>{t("model.warn.confounded")}</p>
          <ul>
            {card.gate?.findings
              .filter(({ name, severity }) => severity !== "note" && /metadata|children|label/.test(name))
              .map(({ name, sentence }) => (
                <li key={name}>
                  <Said by="gate" text={sentence} />
                </li>
              ))}
          </ul>
        </div>
      )}
      {model.stamps.includes(LEAK) && <p class="problem">{t("model.warn.leak")}</p>}
      {model.audit === "not audited" && <p class="note">{t("model.warn.not-audited")}</p>}
      {others.map((stamp) => (
        <p key={stamp} class="note" lang="en">
          {stamp}
        </p>
      ))}
      {card.calibrated === false && <p class="note">{t("model.warn.uncalibrated")}</p>}
    </div>
  );
}
