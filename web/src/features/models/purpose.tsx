// What a model looks for, what it does not look for, and where it must not be trusted.

import type { Card } from "../../api/card";
import type { ModelDetail } from "../../api/types";
import { findPatterns } from "../../components/patterns";
import { Said } from "../../components/said";
import { TermList } from "../../components/term-list";
import { t } from "../../i18n";

export function Purpose({ model, card }: { model: ModelDetail; card: Card }) {
  return (
    <>
      <div class="two">
        <div class="sheet">
          <h3>{t("model.looks")}</h3>
          <ul>
            {findPatterns(model).map((label) => (
              <li key={label}>{label}</li>
            ))}
          </ul>
          {model.labels.includes("normal") && <p class="soft">{t("model.no-pattern")}</p>}
        </div>
        <div class="sheet">
          <h3>{t("model.not-looks")}</h3>
          <ul>
            {model.not_looked_for.map((finding) => (
              <li key={finding}>
                <TermList terms={[finding]} />
              </li>
            ))}
          </ul>
        </div>
      </div>
      <h3>{t("model.intended")}</h3>
      <p>
        <Said by="card" text={card.intended_use} />
      </p>
    </>
  );
}

export function Limits({ card }: { card: Card }) {
  return (
    <ul class="limits">
      {card.limits.map((limit) => (
        <li key={limit}>
          <Said by="card" text={limit} />
        </li>
      ))}
    </ul>
  );
}
