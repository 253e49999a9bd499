"""The shape of an outline of lungs in five numbers, so that an implausible one is noticed without a reader.

A frontal chest shows two lungs side by side: most rows cross both, both are of a similar size, together they cover a
fair part of the picture, and they lie near its middle. None of that holds for half a chest, a figure of a paper or a
collage.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LungShape:
    """What an outline looks like; all values are shares, 0 to 1.

    Attributes:
        area: Of the picture that is lung.
        paired: Of the rows with lung that cross two lungs.
        balance: The smaller lung's area divided by the larger one's, over the paired rows.
        across: Where the middle of the lungs lies, from the left edge (0) to the right one (1).
        down: Where it lies from the upper edge (0) to the lower one (1).
        cut: The largest share of one edge of the picture that lies in lung.
    """

    area: float
    paired: float
    balance: float
    across: float
    down: float
    cut: float

    def values(self) -> dict[str, float]:
        """Return the numbers by name."""
        return asdict(self)


def measure_lung_shape(mask: NDArray[np.bool_]) -> LungShape:
    """Return the shape of an outline; without any lung all shares are 0 and the middle is that of the picture.

    Args:
        mask: [S, S] bool, True in lung.
    """
    if not mask.any():
        return LungShape(0.0, 0.0, 0.0, 0.5, 0.5, 0.0)
    rows = np.flatnonzero(mask.any(1))
    # The longest gap inside a row's lung is the mediastinum; left and right of it lie the two lungs.
    sides = np.array([_two_sides(mask[row]) for row in rows])
    paired = sides[:, 1] > 0
    left, right = sides[paired].sum(0) if paired.any() else (0, 0)
    positions = np.argwhere(mask).mean(0) + 0.5
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return LungShape(
        area=float(mask.mean()),
        paired=float(paired.mean()),
        balance=float(min(left, right) / max(left, right)) if left and right else 0.0,
        across=float(positions[1] / mask.shape[1]),
        down=float(positions[0] / mask.shape[0]),
        cut=max(float(edge.mean()) for edge in edges),
    )


_GAP = 0.03  # of the width: a narrower gap is a hole in an outline, not a mediastinum


def _two_sides(row: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the pixels of lung left and right of the widest gap; 0 on the right where there is none."""
    columns = np.flatnonzero(row)
    gaps = np.diff(columns)
    if not len(gaps) or gaps.max() - 1 < _GAP * len(row):
        return len(columns), 0
    split = int(gaps.argmax()) + 1
    return split, len(columns) - split
