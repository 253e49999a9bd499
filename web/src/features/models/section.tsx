// The sections of a model's page and the links to them. The hash names the page, so buttons scroll to a section.
import type { ComponentChildren } from "preact";
import { me } from "../../api/client";
import { type Key, t } from "../../i18n";

const SECTIONS = [
  "purpose",
  "limits",
  "figures",
  "decisions",
  "scores",
  "origin",
  "evidence",
  "details",
  "switch",
] as const;
type SectionId = (typeof SECTIONS)[number];

export function ModelSection({ id, title, children }: { id: SectionId; title: string; children: ComponentChildren }) {
  return (
    <section class="model-part" aria-labelledby={`part-${id}`}>
      <h2 id={`part-${id}`} tabIndex={-1}>
        {title}
      </h2>
      {children}
    </section>
  );
}

export function SectionLinks() {
  return (
    <nav class="model-parts" aria-label={t("model.parts")}>
      {SECTIONS.filter((part) => part !== "switch" || me.value?.role === "admin").map((part) => (
        <button
          key={part}
          type="button"
          class="bare"
          onClick={() => {
            const heading = document.getElementById(`part-${part}`);
            heading?.scrollIntoView();
            heading?.focus({ preventScroll: true });
          }}
        >
          {t(`model.sec.${part}` as Key)}
        </button>
      ))}
    </nav>
  );
}
