// The screen of one pane: Cornerstone's viewport with the layers over it, and the pointers on top.
import { useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { refusalOf, Why } from "../../components/problem";
import { t } from "../../i18n";
import { whole } from "./geometry";
import { type Handlers, listen } from "./gestures";
import { fits, type Pane, reset } from "./pane";
import type { Pixels } from "./pixels";
import type { Engine, Stage } from "./rendering-engine";

interface Props {
  pane: Pane;
  engine: Promise<Engine>;
  pixelsOf(image: string): Promise<Pixels[]>;
  slow(): void;
  label: string;
  active: boolean;
  handlers: Handlers;
  onFocus(): void;
  onKeyDown(event: KeyboardEvent): void;
  children: ComponentChildren;
}

export function Screen({ pane, engine, pixelsOf, slow, label, active, handlers, onFocus, onKeyDown, children }: Props) {
  const stageAt = useRef<HTMLDivElement>(null);
  const surface = useRef<HTMLDivElement>(null);
  const stage = useSignal<Stage | null>(null);
  const tries = useSignal(0);
  const latest = useRef(handlers);
  latest.current = handlers;

  useEffect(() => {
    let gone = false;
    let opened: Stage | null = null;
    pane.problem.value = null;
    const open = async () => {
      const element = stageAt.current as HTMLDivElement;
      const [started, levels] = await Promise.all([engine, pixelsOf(pane.image.id)]);
      if (gone) return;
      if (!started.holds(pane.frame)) return slow(); // and this effect runs again, with another engine
      opened = started.stage(element);
      await opened.show(pane.image.id, levels, pane.frame);
      if (gone) return;
      pane.pixels.value = levels[0] ?? null;
      pane.box.value = { width: element.clientWidth, height: element.clientHeight };
      if (!pane.view.value) reset(pane);
      stage.value = opened;
    };
    open().catch((error: unknown) => {
      pane.problem.value = refusalOf(error);
    });
    return () => {
      gone = true;
      stage.value = null;
      pane.affine.value = null;
      opened?.close();
    };
  }, [pane, engine, pixelsOf, slow, stage, tries.value]);

  useEffect(() => {
    const element = stageAt.current as HTMLDivElement;
    const observer = new ResizeObserver(() => {
      const box = { width: element.clientWidth, height: element.clientHeight };
      if (!stage.value || box.width === 0 || box.height === 0) return;
      const fitted = pane.box.value.width === 0 || fits(pane); // a pane that was opened out of sight fits when it is seen
      stage.value.resize();
      pane.box.value = box;
      if (fitted && pane.view.value) pane.view.value = whole(pane.frame, box, pane.view.value.turn);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [pane, stage]);

  useSignalEffect(() => {
    const view = pane.view.value;
    if (stage.value && view && pane.box.value.width > 0) pane.affine.value = stage.value.aim(view);
  });
  useSignalEffect(() => stage.value?.paint(pane.window.value, pane.invert.value));
  useEffect(() => {
    const passed: Handlers = {
      tool: () => latest.current.tool(),
      start: (...given) => latest.current.start(...given),
      move: (...given) => latest.current.move(...given),
      end: (...given) => latest.current.end(...given),
      hover: (at) => latest.current.hover(at),
      pinch: (...given) => latest.current.pinch(...given),
      wheel: (...given) => latest.current.wheel(...given),
    };
    return listen(surface.current as HTMLDivElement, passed);
  }, []);

  return (
    <div
      class="view-screen"
      role="application"
      aria-roledescription={t("view.viewport")}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes the focus (WAI-ARIA 1.2)
      tabIndex={0}
      data-active={active}
      data-ready={stage.value !== null}
      ref={surface}
      onFocus={onFocus}
      onPointerDown={onFocus}
      onKeyDown={onKeyDown}
    >
      <div class="view-stage" ref={stageAt} aria-hidden="true" />
      {children}
      {pane.problem.value && (
        <div class="problem view-problem" role="alert">
          {t("view.failed")} <Why why={pane.problem.value} />{" "}
          <button type="button" onClick={() => tries.value++}>
            {t("view.again")}
          </button>
        </div>
      )}
      {!stage.value && !pane.problem.value && <p class="view-wait">{t("app.loading")}</p>}
    </div>
  );
}
