// Translates mouse, pen and touch events to a few gestures: a drag, a pinch of two fingers, a turn of the wheel.
import type { Point } from "./geometry";
import type { MeasureKind } from "./measurements";

export type Tool = "window" | "pan" | "zoom" | MeasureKind | "magnify" | "paint";
export interface Handlers {
  /** What a drag with the main button or one finger does. */
  tool(): Tool;
  start(tool: Tool, at: Point): void;
  move(tool: Tool, from: Point, to: Point): void;
  /** `complete` is false if a second finger turned the drag into a pinch. */
  end(tool: Tool, complete: boolean): void;
  hover(at: Point | null): void;
  pinch(factor: number, at: Point, moved: Point): void;
  wheel(factor: number, at: Point): void;
}

const WHEEL_STEP = 0.0016;
const PINCH_STEP = 0.01;
const ZOOM_STEP = 0.006;

/** Return the factor by which a drag zooms: upwards is larger. */
export function dragZoom(dy: number): number {
  return Math.exp(-dy * ZOOM_STEP);
}

/** Listen on an element; returns how to stop. */
export function listen(element: HTMLElement, handlers: Handlers): () => void {
  const pointers = new Map<number, Point>();
  let drag: { pointer: number; tool: Tool } | null = null;
  const place = (event: MouseEvent): Point => {
    const { left, top } = element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const finish = (complete: boolean) => {
    if (drag) handlers.end(drag.tool, complete);
    drag = null;
  };
  const onDown = (event: PointerEvent) => {
    if (pointers.size >= 2 || (event.target as Element).closest("button")) return;
    if (event.button === 1) event.preventDefault(); // no scrolling by the middle button
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 2) return finish(false);
    drag = { pointer: event.pointerId, tool: toolOf(event, handlers.tool()) };
    handlers.start(drag.tool, place(event));
  };
  const onMove = (event: PointerEvent) => {
    const to = place(event);
    const from = pointers.get(event.pointerId);
    if (!from) {
      if (event.pointerType !== "touch") handlers.hover(to);
      return;
    }
    const previousPoints = [...pointers.values()];
    pointers.set(event.pointerId, to);
    if (pointers.size === 2) {
      const [previous, current] = [measurePair(previousPoints), measurePair([...pointers.values()])];
      if (previous.distance > 0)
        handlers.pinch(current.distance / previous.distance, current.middle, subtract(current.middle, previous.middle));
    } else if (drag) {
      for (const step of event.getCoalescedEvents?.() ?? [])
        if (drag.tool === "paint") handlers.move("paint", from, place(step));
      handlers.move(drag.tool, from, to);
    }
  };
  const onUp = (event: PointerEvent) => {
    pointers.delete(event.pointerId);
    if (drag?.pointer === event.pointerId) finish(event.type === "pointerup");
  };
  const onLeave = () => handlers.hover(null);
  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const step = event.ctrlKey ? PINCH_STEP : WHEEL_STEP; // browsers send a pinch on a touchpad as a wheel with Ctrl
    handlers.wheel(Math.exp(-event.deltaY * lines * step), place(event));
  };
  // The browser would give the focus to the canvas below, where keys do nothing.
  const onPress = (event: MouseEvent) => {
    if ((event.target as Element).closest("button")) return;
    event.preventDefault();
    element.focus({ preventScroll: true });
  };
  const onMenu = (event: Event) => event.preventDefault(); // the right button zooms
  element.addEventListener("pointerdown", onDown);
  element.addEventListener("mousedown", onPress);
  element.addEventListener("pointermove", onMove);
  element.addEventListener("pointerup", onUp);
  element.addEventListener("pointercancel", onUp);
  element.addEventListener("pointerleave", onLeave);
  element.addEventListener("wheel", onWheel, { passive: false });
  element.addEventListener("contextmenu", onMenu);
  return () => {
    element.removeEventListener("pointerdown", onDown);
    element.removeEventListener("mousedown", onPress);
    element.removeEventListener("pointermove", onMove);
    element.removeEventListener("pointerup", onUp);
    element.removeEventListener("pointercancel", onUp);
    element.removeEventListener("pointerleave", onLeave);
    element.removeEventListener("wheel", onWheel);
    element.removeEventListener("contextmenu", onMenu);
  };
}

function toolOf(event: PointerEvent, chosen: Tool): Tool {
  if (event.button === 1 || event.shiftKey) return "pan";
  return event.button === 2 ? "zoom" : chosen;
}

function measurePair(points: Point[]): { distance: number; middle: Point } {
  const [p, q] = points as [Point, Point];
  return { distance: Math.hypot(p[0] - q[0], p[1] - q[1]), middle: [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2] };
}

function subtract(p: Point, q: Point): Point {
  return [p[0] - q[0], p[1] - q[1]];
}
