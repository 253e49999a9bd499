// A short text about a state. Its colour repeats the text and carries no information of its own.
import type { ComponentChildren } from "preact";
import type { Model } from "../api/types";
import { t, translateTerm } from "../i18n";

export type Tone = "plain" | "good" | "warn" | "bad" | "busy";

export function Badge({ tone = "plain", children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`badge badge-${tone}`}>{children}</span>;
}

const AUDIT: Record<string, Tone> = {
  "not audited": "warn",
  passed: "good",
  caution: "warn",
  "not identifiable": "warn",
  failed: "bad",
  unreadable: "bad",
};

/** The badges beside a model's name: off, audit result, stamps, synthetic data. */
export function ModelBadges({ model }: { model: Model }) {
  const covered = ["not audited", "failed its audit", "its evidence was altered"]; // the audit badge says these already
  return (
    <span class="badges">
      {!model.on && <Badge tone="bad">{t("model.off")}</Badge>}
      <Badge tone={AUDIT[model.audit] ?? "warn"}>{translateTerm("model.audit", model.audit)}</Badge>
      {model.stamps
        .filter((stamp) => !covered.includes(stamp))
        .map((stamp) => (
          <Badge key={stamp} tone="bad">
            {translateTerm("model.stamp", stamp)}
          </Badge>
        ))}
      {model.synthetic && <Badge tone="bad">{t("model.synthetic")}</Badge>}
    </span>
  );
}
