"""Operating points: thresholds on the primary class's probability, chosen on calibration data only.

A threshold that has seen test data is not a test. The thresholds here come from the first half of the calibration part
(``calibration.select_first_half``).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pneumoscope.stats import metric_table
from pneumoscope.stats.estimates import Estimate, OperatingPoint
from pneumoscope.stats.kernels import Bools, Floats
from pneumoscope.stats.metric_registry import AtThreshold
from pneumoscope.stats.metrics import group_index

PointName = Literal["youden", "sensitivity-95", "sensitivity-98"]
TARGETS: tuple[tuple[PointName, float], ...] = (("sensitivity-95", 0.95), ("sensitivity-98", 0.98))
_SAME_IMAGES = "threshold chosen on these same images"


def threshold_for_sensitivity(score: ArrayLike, positive: ArrayLike, target: float) -> float:
    """Return the largest threshold t such that at least ``target`` of the positives have score >= t.

    It is always the score of a positive. All images that tie with it are called positive, so that ties can raise the
    sensitivity above the target and never keep it below.
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    of_positives = np.sort(s[y])[::-1]
    if not len(of_positives):
        raise ValueError("no positive image: a threshold for sensitivity needs some")
    needed = max(1, math.ceil(target * len(of_positives) - 1e-9))  # .95 x 20 is 19, also in floating point
    return float(of_positives[needed - 1])


def youden_threshold(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the threshold with the largest sensitivity + specificity - 1 (Youden, Cancer 1950).

    It is one of the scores that occur. Where several are equally good it is the lowest, the most sensitive one.
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    if y.all() or not y.any():
        raise ValueError("Youden's threshold needs images both of the class and of others")
    thresholds = np.unique(s)
    pos, neg = np.sort(s[y]), np.sort(s[~y])
    sensitivity = 1 - np.searchsorted(pos, thresholds, side="left") / len(pos)
    specificity = np.searchsorted(neg, thresholds, side="left") / len(neg)
    index = sensitivity + specificity
    return float(thresholds[np.flatnonzero(index >= index.max() - 1e-12)[0]])


def at_threshold(score: Floats, positive: Bools, groups: ArrayLike, threshold: float) -> tuple[Estimate, Estimate]:
    """Return sensitivity and specificity at a threshold; an image is called positive where score >= threshold.

    Args:
        score: [N] probability of the primary class.
        positive: [N] whether the image is of that class.
        groups: [N] group of each image.
        threshold: In 0..1.
    """
    images = AtThreshold(score >= threshold, positive, group_index(groups))
    return metric_table.sensitivity(images), metric_table.specificity(images)


def operating_points(score: ArrayLike, positive: ArrayLike, groups: ArrayLike) -> tuple[OperatingPoint, ...]:
    """Return Youden's point and those of sensitivity .95 and .98 with their sensitivity and specificity here.

    These sensitivities are optimistic, since the thresholds were chosen on the same images. The note says so. The
    figures to report are those of another part at these frozen thresholds.

    Args:
        score: [N] calibrated probability of the primary label.
        positive: [N] whether the image is of that label.
        groups: [N].
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    choices: list[tuple[PointName, float]] = [("youden", youden_threshold(s, y))]
    choices += [(name, threshold_for_sensitivity(s, y, target)) for name, target in TARGETS]

    def with_note(estimate: Estimate) -> Estimate:
        return estimate.model_copy(update={"note": "; ".join(filter(None, [_SAME_IMAGES, estimate.note]))})

    points = []
    for name, score_there in choices:
        # One float32 step lower, so that the image with this score still reaches the threshold when the score is
        # written as a decimal and read again.
        threshold = float(np.nextafter(np.float32(score_there), np.float32(-1)))
        sensitivity, specificity = at_threshold(s, y, groups, threshold)
        points.append(
            OperatingPoint(
                name=name, threshold=threshold, sensitivity=with_note(sensitivity), specificity=with_note(specificity)
            )
        )
    return tuple(points)
