// The viewport of one pane: Cornerstone's viewport, the layers over it, and the pointer events.
import { useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ProblemText, toRefusal } from "../../components/problem";
import { t } from "../../i18n";
import { fitView } from "./geometry";
import { type Handlers, listen } from "./gestures";
import { isFitted, type Pane, resetView } from "./pane";
import type { Pixels } from "./pixels";
import type { Engine, ViewportHandle } from "./rendering-engine";

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

export function Viewport({
  pane,
  engine,
  pixelsOf,
  slow,
  label,
  active,
  handlers,
  onFocus,
  onKeyDown,
  children,
}: Props) {
  const stageElement = useRef<HTMLDivElement>(null);
  const surface = useRef<HTMLDivElement>(null);
  const stage = useSignal<ViewportHandle | null>(null);
  const tries = useSignal(0);
  const latest = useRef(handlers);
  latest.current = handlers;

  useEffect(() => {
    let cancelled = false;
    let opened: ViewportHandle | null = null;
    pane.problem.value = null;
    const open = async () => {
      const element = stageElement.current as HTMLDivElement;
      const [started, levels] = await Promise.all([engine, pixelsOf(pane.image.id)]);
      if (cancelled) return;
      if (!started.canDraw(pane.frame)) return slow(); // and this effect runs again, with another engine
      opened = started.addViewport(element);
      await opened.show(pane.image.id, levels, pane.frame);
      if (cancelled) return;
      pane.pixels.value = levels[0] ?? null;
      pane.box.value = { width: element.clientWidth, height: element.clientHeight };
      if (!pane.view.value) resetView(pane);
      stage.value = opened;
    };
    open().catch((error: unknown) => {
      if (!cancelled) pane.problem.value = toRefusal(error);
    });
    return () => {
      cancelled = true;
      stage.value = null;
      pane.affine.value = null;
      opened?.close();
    };
  }, [pane, engine, pixelsOf, slow, stage, tries.value]);

  useEffect(() => {
    const element = stageElement.current as HTMLDivElement;
    const observer = new ResizeObserver(() => {
      const box = { width: element.clientWidth, height: element.clientHeight };
      if (!stage.value || box.width === 0 || box.height === 0) return;
      // a pane that was hidden when it opened is fitted once it is visible
      const fitted = pane.box.value.width === 0 || isFitted(pane);
      stage.value.resize();
      pane.box.value = box;
      if (fitted && pane.view.value) pane.view.value = fitView(pane.frame, box, pane.view.value.turn);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [pane, stage]);

  useSignalEffect(() => {
    const view = pane.view.value;
    if (stage.value && view && pane.box.value.width > 0) pane.affine.value = stage.value.setView(view);
  });
  useSignalEffect(() => stage.value?.setWindow(pane.window.value, pane.invert.value));
  useEffect(() => {
    const forwarding: Handlers = {
      tool: () => latest.current.tool(),
      start: (...given) => latest.current.start(...given),
      move: (...given) => latest.current.move(...given),
      end: (...given) => latest.current.end(...given),
      hover: (at) => latest.current.hover(at),
      pinch: (...given) => latest.current.pinch(...given),
      wheel: (...given) => latest.current.wheel(...given),
    };
    return listen(surface.current as HTMLDivElement, forwarding);
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
      <div class="view-stage" ref={stageElement} aria-hidden="true" />
      {children}
      {pane.problem.value && (
        <div class="problem view-problem" role="alert">
          {t("view.failed")} <ProblemText refusal={pane.problem.value} />{" "}
          <button type="button" onClick={() => tries.value++}>
            {t("view.again")}
          </button>
        </div>
      )}
      {!stage.value && !pane.problem.value && <p class="view-wait">{t("app.loading")}</p>}
    </div>
  );
}
