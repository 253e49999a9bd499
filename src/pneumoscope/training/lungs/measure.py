"""How far outlines agree with drawn ones, set by set and structure by structure, with intervals by patient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.lung_parts import remove_specks
from pneumoscope.bundle.lungs import LungFigures
from pneumoscope.stats.segmentation import estimate_mean, measure_dice, measure_edge_distances, measure_iou
from pneumoscope.training.lungs.fit import Outlined

Outliner = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From pixels [S, S] in 0..1 to the probabilities [K, S, S] of the structures."""


def measure_outlines(outline: Outliner, data: Outlined, trained_on: str, measured_on: str) -> tuple[LungFigures, ...]:
    """Return the agreement with the masks of each set and structure.

    Specks are removed and holes filled first, as in every outline that the program shows (`bundle.lung_parts`).

    An outline that is absent where a mask was drawn has Dice 0; its edge distance is not defined and is left out of
    the mean, and the interval's note counts it.

    Args:
        outline: The graph.
        data: Pictures with masks.
        trained_on: What the graph learnt from, in words.
        measured_on: What is measured, in words; the set's name is put before it.

    Returns:
        One record for each set and structure that was drawn.
    """
    seen = np.stack([outline(image.astype(np.float32) / 255) for image in data.images]) >= 0.5
    results = []
    for source in sorted(set(data.sources)):
        for index, structure in enumerate(data.structures):
            rows = np.flatnonzero((data.sources == source) & data.drawn[:, index])
            if not len(rows):
                continue
            pairs = [(remove_specks(seen[row, index]), data.masks[row, index]) for row in rows]
            edges = np.array([measure_edge_distances(*pair, (1.0, 1.0)) for pair in pairs])
            groups, finite = data.groups[rows], np.isfinite(edges).all(1)
            figures = {
                "dice": estimate_mean(np.array([measure_dice(*pair) for pair in pairs]), groups),
                "iou": estimate_mean(np.array([measure_iou(*pair) for pair in pairs]), groups),
            }
            for name, values in (("edge-mean", edges[:, 0]), ("edge-95", edges[:, 1])):
                if finite.any():
                    estimate = estimate_mean(values[finite], groups[finite])
                    note = f"{int((~finite).sum())} images without any outline are left out" if not finite.all() else ""
                    figures[name] = estimate.model_copy(update={"note": "; ".join(filter(None, [estimate.note, note]))})
            results.append(
                LungFigures(
                    trained_on=trained_on,
                    measured_on=f"{source}: {measured_on}",
                    structure=structure,
                    images=len(rows),
                    patients=len(set(groups)),
                    figures=figures,
                )
            )
    return tuple(results)
