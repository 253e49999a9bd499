// Two linked panes: what is done to one view is done to the other. Images differ in size and depth, so everything is
// carried over as shares: of the frame, of the size that fits, of the range of values.
import { fitView, type View } from "./geometry";
import type { Pane } from "./pane";
import type { Window } from "./window";

interface Source {
  frame: Pane["frame"];
  box: { width: number; height: number };
}

/** Return a view of one image as the same view of another. */
export function carryView(view: View, from: Source, to: Source): View {
  const share = view.scale / fitView(from.frame, from.box, view.turn).scale;
  return {
    turn: view.turn,
    scale: share * fitView(to.frame, to.box, view.turn).scale,
    centre: [
      (view.centre[0] / from.frame.width) * to.frame.width,
      (view.centre[1] / from.frame.height) * to.frame.height,
    ],
  };
}

/** Return a window over values of one depth as the same window of another. */
export function carryWindow({ lower, upper }: Window, from: number, to: number): Window {
  const factor = (2 ** to - 1) / (2 ** from - 1);
  return { lower: lower * factor, upper: upper * factor };
}

/** Show in `to` what `from` shows. */
export function linkPane(from: Pane, to: Pane): void {
  const view = from.view.value;
  const [window, invert] = [from.window.value, from.invert.value];
  const [fromBox, toBox] = [from.box.value, to.box.value];
  const bits = [from.pixels.value?.bits, to.pixels.value?.bits];
  if (!view || bits[0] === undefined || bits[1] === undefined || fromBox.width === 0 || toBox.width === 0) return;
  to.view.value = carryView(view, { frame: from.frame, box: fromBox }, { frame: to.frame, box: toBox });
  to.window.value = carryWindow(window, bits[0], bits[1]);
  to.invert.value = invert;
}
