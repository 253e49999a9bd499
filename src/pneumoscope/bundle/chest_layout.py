"""Whether a picture shows one whole upright chest: not several, not a part of one, and none that is turned.

The gatekeeper calls most such pictures frontal chests, since they are made of them. The outlines of lungs and heart
tell them apart: one above the other gives columns with two runs of lung, several side by side give rows with three, a
part of a chest has its heart at one side, lungs of unequal size, or lungs that an edge cuts off, and in a turned one
the lungs' long axes lean to one side. A limit that would refuse real chests too holds only where the gatekeeper itself
is less sure (docs/guides/gatekeeper.md has the rates).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.bundle.lung_shape import LungShape
from pneumoscope.bundle.lungs import LungOutlines

GAP = 0.03
"""Of the side: the least gap between two runs of lung."""
RUN = 0.08
"""Of the side: the least length of a run in a column."""
NARROW_RUN = 0.03
"""Of the side: the least length of a run in a row."""

STACKED = 0.35
"""Largest share of the columns with lung that hold two runs of it."""
STACKED_IN_DOUBT = 0.26
CROSSED = 0.03
"""Share of the rows with lung that hold three runs or more, above which the halves of a picture are looked at."""
TWO_CHESTS = 0.92
"""Least probability of a frontal chest in the left and in the right half of a picture that shows two."""
LATERAL_BESIDE = 0.3
"""Least probability of a lateral chest in one half, where the other half shows a frontal one."""
ONE_SIDED = 0.6
"""Likeness of the lungs to their mirror image below which the halves are looked at too."""
LIKENESS = 0.42
"""Least agreement of the lungs with their mirror image."""
LIKENESS_IN_DOUBT = 0.5
HEART_OFFSET = 0.22
"""Largest distance of the middle of the heart from where it lies in most chests, as a share of the width."""
HEART_OFFSET_IN_DOUBT = 0.15
HEART = 0.52
"""Where the middle of the heart lies in most chests, from the left edge."""
BALANCE_IN_DOUBT = 0.57
"""Least area of the smaller lung, divided by that of the larger one."""
BLACK = 0.14
"""Largest share of the outlined lungs that is black: an outline in a black border is of no lung."""
UPPER_EDGE, LOWER_EDGE = 0.47, 0.2
"""Largest share of the upper and of the lower edge of the picture that lies in lung."""
BOTH_SIDES = 0.12
"""Largest share of the left and of the right edge that lies in lung, where both do."""
TURN = 15.0
"""Largest angle by which the long axes of both lungs may lean to one side, in degrees."""
TURN_BETWEEN = 5.0
"""Least angle by which the line from lung to lung leans to the same side, where the chest is turned."""
AXES_UPRIGHT, BETWEEN_UPRIGHT = 1.0, 2.0
"""How far both lean in most upright chests, in degrees: the liver lifts the right lung, the heart pushes the left."""

DOUBT, STRONG_DOUBT = 0.95, 0.85
"""Probability of a frontal chest below which the limits "in doubt" for several chests and for a part of one hold."""

_CELLS = 48
_AXES = range(14, 35)  # of 48 columns: where the middle of a chest may lie
_DARK = 0.012  # 3 of 255
_LEAST_LUNG = 0.2  # of the larger lung's area: without a smaller one of that size, there is no pair


@dataclass(frozen=True, slots=True)
class ChestLayout:
    """How lungs and heart lie in a picture; all values are shares, 0 to 1.

    Attributes:
        stacked: Of the columns with lung that hold two runs of it.
        crossed: Of the rows with lung that hold three runs or more.
        likeness: Agreement (Dice) of the lungs with their mirror image about the axis that fits best.
        heart_offset: Distance of the middle of the heart from where it mostly lies; 0 without a heart.
        balance: Area of the smaller lung divided by that of the larger one.
        black: Of the lungs that is black in the picture.
        upper: Of the upper edge of the picture that lies in lung.
        lower: Of the lower edge.
        sides: The smaller one of the shares of the left and of the right edge that lie in lung.
        turn: Degrees, no share: how far the chest seems to be turned, see `measure_turn`.
    """

    stacked: float
    crossed: float
    likeness: float
    heart_offset: float
    balance: float
    black: float
    upper: float
    lower: float
    sides: float
    turn: float

    @property
    def is_turned(self) -> bool:
        """Whether the chest is turned by more than patients lean."""
        return abs(self.turn) > TURN


def measure_layout(pixels: NDArray[np.float32], outlines: LungOutlines, shape: LungShape) -> ChestLayout:
    """Return how lungs and heart lie in a picture; one without any lung has a likeness and a balance of 0.

    Args:
        pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head.
        outlines: Of the same picture.
        shape: Of the outlined lungs.
    """
    lungs = outlines.square("lungs")
    side = len(lungs)
    columns, rows = lungs[:, lungs.any(0)].T, lungs[lungs.any(1)]
    cells = _shrink(outlines.probability("lungs"))
    inside = cells > 0.5
    across = 0.0
    if "heart" in outlines.structures and (heart := outlines.square("heart")).any():
        across = abs(float(np.argwhere(heart)[:, 1].mean()) / side - HEART)
    return ChestLayout(
        stacked=float((_count_runs(columns, GAP * side, RUN * side) >= 2).mean()) if len(columns) else 0.0,
        crossed=float((_count_runs(rows, GAP * side, NARROW_RUN * side) >= 3).mean()) if len(rows) else 0.0,
        likeness=max(_agree(cells, axis) for axis in _AXES) if inside.any() else 0.0,
        heart_offset=across,
        balance=shape.balance,
        black=float((_shrink(pixels)[inside] < _DARK).mean()) if inside.any() else 0.0,
        upper=float(lungs[:2].any(0).mean()),
        lower=float(lungs[-2:].any(0).mean()),
        sides=float(min(lungs[:, 0].mean(), lungs[:, -1].mean())),
        turn=measure_turn(outlines),
    )


def measure_turn(outlines: LungOutlines) -> float:
    """Return by how many degrees a chest seems to be turned, positive to the left (counterclockwise).

    It is the mean lean of the long axes of both lungs: each leans towards the other at its upper end, which cancels,
    and a turn adds to both. An ill lung may lean by itself; the line from one lung to the other then does not.

    Args:
        outlines: Of a picture; 0 is returned where they show no two lungs, or where that line does not lean too.
    """
    from scipy.ndimage import label

    labels, count = label(outlines.select_parts("lungs"))
    if count < 2:
        return 0.0
    areas = np.bincount(labels.ravel())[1:]
    large, small = np.argsort(-areas)[:2]
    if areas[small] < _LEAST_LUNG * areas[large]:
        return 0.0
    # The square is stretched over the picture: angles hold in the picture's own proportions.
    scale = np.array(outlines.shape) / len(labels)
    lungs = sorted(
        (np.argwhere(labels == lung + 1) * scale for lung in (large, small)), key=lambda lung: lung[:, 1].mean()
    )
    leans = []
    for places in lungs:
        down, right = np.linalg.eigh(np.cov(places.T))[1][:, -1]
        leans.append(np.degrees(np.arctan2(right, down) if down > 0 else np.arctan2(-right, -down)))
    lean = float(np.mean(leans)) - AXES_UPRIGHT
    down, right = lungs[1].mean(0) - lungs[0].mean(0)
    between = float(np.degrees(np.arctan2(-down, right))) - BETWEEN_UPRIGHT
    return lean if between * np.sign(lean) > TURN_BETWEEN else 0.0


def find_several_chests(
    layout: ChestLayout,
    frontal: float,
    ask: Callable[[NDArray[np.float32]], tuple[float, float]],
    pixels: NDArray[np.float32],
) -> str:
    """Return what says that a picture shows several chests, in words; empty where nothing does.

    Args:
        layout: Of the picture.
        frontal: Its probability of an upright frontal chest, by the gatekeeper.
        ask: Returns the probabilities of a frontal and of a lateral chest of another picture.
        pixels: [H, W] of the picture.
    """
    doubt = frontal < DOUBT
    # In a part of a chest lungs lie in pieces too, and an edge says so.
    cut = layout.upper > UPPER_EDGE or layout.lower > LOWER_EDGE
    if not cut and layout.stacked > (STACKED_IN_DOUBT if doubt else STACKED):
        return "lungs lie above each other"
    if (layout.crossed > CROSSED or layout.likeness < ONE_SIDED) and (why := _find_two_views(ask, pixels)):
        return why
    # Turned lungs are unlike their mirror image too, and have a reason of their own.
    if not cut and not layout.is_turned and layout.likeness < (LIKENESS_IN_DOUBT if doubt else LIKENESS):
        return "the lungs do not lie on two sides of one middle"
    return ""


def find_part_of_chest(layout: ChestLayout, frontal: float) -> str:
    """Return what says that a picture shows a part of a chest, in words; empty where nothing does.

    Args:
        layout: Of the picture.
        frontal: Its probability of an upright frontal chest, by the gatekeeper.
    """
    doubt = frontal < STRONG_DOUBT
    if layout.heart_offset > (HEART_OFFSET_IN_DOUBT if doubt else HEART_OFFSET):
        return "the heart lies far from the middle"
    if doubt and layout.balance < BALANCE_IN_DOUBT:
        return "one lung is much smaller than the other"
    if layout.black > BLACK:
        return "a part of the outlined lungs is black"
    if layout.upper > UPPER_EDGE:
        return "the upper edge cuts through the lungs"
    if layout.lower > LOWER_EDGE:
        return "the lower edge cuts through the lungs"
    if layout.sides > BOTH_SIDES:
        return "the left and the right edge cut through the lungs"
    return ""


def _find_two_views(ask: Callable[[NDArray[np.float32]], tuple[float, float]], pixels: NDArray[np.float32]) -> str:
    """Return which two chests the halves of a picture show, in words; empty where they do not."""
    width = pixels.shape[1]
    if width < 2:
        return ""
    frontal, lateral = ask(np.ascontiguousarray(pixels[:, : width // 2]))
    if frontal < TWO_CHESTS and lateral < LATERAL_BESIDE:
        return ""  # half of one chest, mostly: the other half need not be asked about
    other_frontal, other_lateral = ask(np.ascontiguousarray(pixels[:, width - width // 2 :]))
    if min(frontal, other_frontal) >= TWO_CHESTS:
        return "the left and the right half each show a chest"
    beside = lateral if other_frontal > frontal else other_lateral
    if max(frontal, other_frontal) >= TWO_CHESTS and beside >= LATERAL_BESIDE:
        return "one half shows a frontal view, the other a lateral one"
    return ""


def _count_runs(lines: NDArray[np.bool_], gap: float, least: float) -> NDArray[np.intp]:
    """Return how many runs of True of a least length each line holds; shorter gaps than ``gap`` are filled.

    Args:
        lines: [N, S], at least one True in each.
        gap: Least gap between two runs, in pixels.
        least: Least length of a run, in pixels.
    """
    # The lines one after the other, with a gap between them: one pass over all of them.
    padded = np.pad(lines, ((0, 0), (0, int(gap) + 1)))
    places = np.flatnonzero(padded)
    breaks = np.flatnonzero(np.diff(places) - 1 >= gap)
    starts = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [len(places) - 1]])]
    return np.bincount(starts[ends - starts + 1 >= least] // padded.shape[1], minlength=len(lines))


def _shrink(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture averaged to 48 x 48 cells."""
    return np.asarray(Image.fromarray(values).resize((_CELLS, _CELLS), Image.Resampling.BOX))


def _agree(cells: NDArray[np.float32], axis: int) -> float:
    """Return how far a mask agrees with its mirror image about the line before column ``axis``."""
    width = min(axis, _CELLS - axis)
    left, right = cells[:, axis - width : axis], cells[:, axis : axis + width][:, ::-1]
    return float(2 * np.minimum(left, right).sum() / cells.sum())
