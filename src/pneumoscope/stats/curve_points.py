"""The points of an evaluation's curves, as numbers, so that a report needs neither the images nor the predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats import metrics
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.kernels import Bools, Floats, Ints

_POINTS = 200  # at most, of a curve
_COLUMNS = 20  # of a histogram


class Band(Frozen):
    """A band of scores: the mean score in it and the observed rate."""

    stated: float
    observed: Estimate
    images: int


class ScoreBand(Frozen):
    """A band of the card: the rate that it promises and the rate that was observed on other images."""

    low: float
    high: float = Field(description="low <= score < high; the last band holds its end")
    promised: Estimate = Field(description="observed on calibration images")
    stated: float | None = Field(description="mean score of these images in the band; None where there are none")
    observed: Estimate
    images: int


class CurvePoints(Frozen):
    """Points of the curves of the primary class (the first)."""

    roc: tuple[tuple[float, float], ...] = Field(
        description="(1 - specificity, sensitivity), rising; empty if undefined"
    )
    reliability: tuple[Band, ...]
    histogram: dict[str, tuple[int, ...]] = Field(
        description=f"true class -> images in {_COLUMNS} equal columns of the primary score, 0 to 1"
    )


def compute_curve_points(probability: Floats, truth: Ints, group: Ints, classes: Sequence[str]) -> CurvePoints:
    """Return the points of the curves; probability [N, C], truth [N], group [N]."""
    score, positive = probability[:, 0], truth == 0
    columns = np.clip((score * _COLUMNS).astype(np.intp), 0, _COLUMNS - 1)
    return CurvePoints(
        roc=_roc(score, positive) if positive.any() and not positive.all() else (),
        reliability=_reliability(score, positive, group),
        histogram={
            name: tuple(int(n) for n in np.bincount(columns[truth == k], minlength=_COLUMNS))
            for k, name in enumerate(classes)
        },
    )


def observed_score_bands(
    score: Floats, positive: Bools, group: Ints, bands: Sequence[Mapping[str, float]]
) -> tuple[ScoreBand, ...]:
    """Return the observed rates of the card's score bands on other images; score [N], positive [N], group [N]."""
    observed_bands = []
    for band in bands:
        low, high = band["low"], band["high"]
        inside = (score >= low) & ((score <= high) if high >= 1.0 else (score < high))
        observed_bands.append(
            ScoreBand(
                low=low,
                high=high,
                promised=Estimate(value=band["rate"], low=band["rate_low"], high=band["rate_high"]),
                stated=float(score[inside].mean()) if inside.any() else None,
                observed=estimate_proportion(positive[inside], group[inside], what="band"),
                images=int(inside.sum()),
            )
        )
    return tuple(observed_bands)


def _roc(score: Floats, positive: np.ndarray) -> tuple[tuple[float, float], ...]:
    pos, neg = np.sort(score[positive]), np.sort(score[~positive])
    thresholds = np.unique(score)[::-1]
    hits = 1 - np.searchsorted(pos, thresholds, side="left") / len(pos)
    false = 1 - np.searchsorted(neg, thresholds, side="left") / len(neg)
    points = np.concatenate([[[0.0, 0.0]], np.column_stack([false, hits])])
    # Corners stay; points on the straight line between two corners go.
    before, after = np.diff(points, axis=0)[:-1], np.diff(points, axis=0)[1:]
    turns = np.concatenate([[True], before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0], [True]])
    points = points[turns]
    if len(points) > _POINTS:
        points = points[np.unique(np.linspace(0, len(points) - 1, _POINTS).round().astype(int))]
    return tuple((round(float(x), 5), round(float(y), 5)) for x, y in points)


def _reliability(score: Floats, positive: np.ndarray, group: Ints) -> tuple[Band, ...]:
    if not len(score):
        return ()
    bin_of = np.searchsorted(metrics.bin_edges(score, min(10, max(1, len(score) // 20))), score, side="right")
    return tuple(
        Band(
            stated=float(score[bin_of == b].mean()),
            observed=estimate_proportion(positive[bin_of == b], group[bin_of == b], what="band"),
            images=int((bin_of == b).sum()),
        )
        for b in np.unique(bin_of)
    )
