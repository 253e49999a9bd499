// Tabs as in the ARIA authoring practices: arrow keys move between them, and hidden tabs keep their input.
import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useRef } from "preact/hooks";

export interface Tab<T extends string> {
  name: T;
  title: string;
  /** A note beside the title: the tab holds something unsaved or new. */
  mark?: string | undefined;
  content: () => ComponentChildren;
}

export function Tabs<T extends string>({
  tabs,
  chosen,
  label,
}: {
  tabs: readonly Tab<T>[];
  chosen: Signal<T>;
  label: string;
}) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const moveFocus = (event: KeyboardEvent) => {
    const at = tabs.findIndex((tab) => tab.name === chosen.value);
    const targets: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const next = (target + tabs.length) % tabs.length;
    chosen.value = (tabs[next] as Tab<T>).name;
    list.current?.querySelectorAll<HTMLElement>("[role=tab]")[next]?.focus();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={moveFocus}>
        {tabs.map((tab) => (
          <button
            key={tab.name}
            type="button"
            role="tab"
            id={`${id}-${tab.name}`}
            aria-controls={`${id}-${tab.name}-panel`}
            aria-selected={chosen.value === tab.name}
            tabIndex={chosen.value === tab.name ? 0 : -1}
            onClick={() => {
              chosen.value = tab.name;
            }}
          >
            {tab.title}
            {tab.mark && (
              <>
                <span class="tab-mark" aria-hidden="true" />
                <span class="hidden">{` (${tab.mark})`}</span>
              </>
            )}
          </button>
        ))}
      </div>
      {tabs.map((tab) => (
        <div
          key={tab.name}
          class="tab-panel"
          role="tabpanel"
          id={`${id}-${tab.name}-panel`}
          aria-labelledby={`${id}-${tab.name}`}
          hidden={chosen.value !== tab.name}
        >
          {tab.content()}
        </div>
      ))}
    </>
  );
}

/** Move the focus to the selected tab, because the element that had it is no longer on the page. */
export function focusTab(): void {
  setTimeout(() => document.querySelector<HTMLElement>(".reading-panel [role=tab][aria-selected=true]")?.focus());
}
