"""Probabilities that mean what they say, and thresholds, chosen on calibration data only.

A threshold that has seen test data is not a test; a temperature fitted on resampled classes is of another world. All
here is fitted on the first half of the calibration part (``first_half``), whose classes are never resampled; the other
half, of other groups, is kept for prediction sets.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from pneumoscope.stats import metric_table
from pneumoscope.stats.estimates import Estimate, OperatingPoint
from pneumoscope.stats.intervals import FEWEST_GROUPS, proportion
from pneumoscope.stats.kernels import Bools, Floats
from pneumoscope.stats.metric_registry import AtThreshold
from pneumoscope.stats.metrics import group_index

TEMPERATURE_RANGE = (0.05, 20.0)
_PRIOR_LOG_T = 1.0  # standard deviation of log T
_PRIOR_BIAS = 1.0  # standard deviation of a class bias, in nats


def first_half(groups: ArrayLike) -> Bools:
    """Return [N] whether each image is in the first half of the calibration part, by a hash of its group.

    First half: temperature, bias, operating points, score bands, refusal. Second: prediction sets. The hash needs no
    seed and no order, so that both halves stay what they are when images are added.
    """
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    first = [hashlib.sha256(f"calibration-half:{name}".encode()).digest()[0] < 128 for name in names]
    return np.asarray(first, dtype=np.bool_)[index.reshape(-1)]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Temperature and class bias: probabilities = softmax(logits / temperature + bias)."""

    temperature: float
    bias: tuple[float, ...]

    def apply(self, logits: ArrayLike) -> Floats:
        """Return probabilities [N, C] of logits [N, C]."""
        z = np.asarray(logits, dtype=np.float64) / self.temperature + np.asarray(self.bias)
        return np.asarray(softmax(z, axis=1), dtype=np.float64)


def fit_scaling(logits: ArrayLike, truth: ArrayLike) -> Scaling:
    """Fit temperature (Guo et al., ICML 2017) and class bias to uncalibrated logits, by penalised likelihood.

    The penalty is one weak prior for the whole fit, log T ~ N(0, 1) and each bias ~ N(0, 1): with hundreds of images it
    is not felt; with classes that the logits separate it keeps T from going to 0, that is, from certainty that no
    finite number of images can give. Biases sum to 0.

    Args:
        logits: [N, C], uncalibrated.
        truth: [N] in 0..C-1; never resampled or balanced.
    """
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(truth, dtype=np.intp)
    if z.ndim != 2 or len(z) != len(y) or not len(z) or not np.isfinite(z).all():
        raise ValueError(f"logits {z.shape} must be finite, [N, C], one row for each of the {len(y)} labels")
    n, classes = z.shape
    one_hot = np.eye(classes)[y]

    def loss(theta: Floats) -> tuple[float, Floats]:
        scaled = z * math.exp(-theta[0])
        log_p = log_softmax(scaled + theta[1:], axis=1)
        error = np.exp(log_p) - one_hot
        value = -log_p[np.arange(n), y].mean()
        value += (theta[0] ** 2 / _PRIOR_LOG_T**2 + (theta[1:] ** 2).sum() / _PRIOR_BIAS**2) / (2 * n)
        gradient = np.concatenate([[-(error * scaled).sum() / n], error.sum(axis=0) / n])
        gradient += np.concatenate([[theta[0] / _PRIOR_LOG_T**2], theta[1:] / _PRIOR_BIAS**2]) / n
        return float(value), gradient

    low, high = (math.log(t) for t in TEMPERATURE_RANGE)
    bounds = [(low, high)] + [(None, None)] * classes
    found = minimize(loss, np.zeros(1 + classes), jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12})
    bias = found.x[1:] - found.x[1:].mean()
    return Scaling(temperature=math.exp(found.x[0]), bias=tuple(float(b) for b in bias))


PointName = Literal["youden", "sensitivity-95", "sensitivity-98"]
TARGETS: tuple[tuple[PointName, float], ...] = (("sensitivity-95", 0.95), ("sensitivity-98", 0.98))
_CHOSEN_HERE = "threshold chosen on these same images"


def threshold_for_sensitivity(score: ArrayLike, positive: ArrayLike, target: float) -> float:
    """Return the largest threshold t such that at least ``target`` of the positives have score >= t.

    It is always the score of a positive. Images that tie with it are all called positive, so that ties can raise the
    sensitivity above the target but never leave it under.
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    own = np.sort(s[y])[::-1]
    if not len(own):
        raise ValueError("no positive image: a threshold for sensitivity needs some")
    needed = max(1, math.ceil(target * len(own) - 1e-9))  # .95 x 20 is 19, whatever floating point makes of it
    return float(own[needed - 1])


def youden_threshold(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the threshold with the largest sensitivity + specificity - 1 (Youden, Cancer 1950).

    Among the scores that occur; where several are equally good the lowest is taken: the most sensitive.
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
    """Return sensitivity and specificity at a threshold: called positive where score >= threshold."""
    images = AtThreshold(score >= threshold, positive, group_index(groups))
    return metric_table.sensitivity(images), metric_table.specificity(images)


def operating_points(score: ArrayLike, positive: ArrayLike, groups: ArrayLike) -> tuple[OperatingPoint, ...]:
    """Return Youden's point and those of sensitivity .95 and .98 with what they reach on these images.

    The sensitivities given here are optimistic, since the thresholds were chosen on the same images: the note says so,
    and the figures to report are those of another part at these frozen thresholds.

    Args:
        score: [N] calibrated probability of the primary label.
        positive: [N] whether the image is of that label.
        groups: [N].
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    chosen: list[tuple[PointName, float]] = [("youden", youden_threshold(s, y))]
    chosen += [(name, threshold_for_sensitivity(s, y, target)) for name, target in TARGETS]

    def noted(estimate: Estimate) -> Estimate:
        return estimate.model_copy(update={"note": "; ".join(filter(None, [_CHOSEN_HERE, estimate.note]))})

    points = []
    for name, score_there in chosen:
        # One float32 step lower, so that the image that it was taken from still reaches it when its score is written
        # as a decimal and read again.
        threshold = float(np.nextafter(np.float32(score_there), np.float32(-1)))
        sensitivity, specificity = at_threshold(s, y, groups, threshold)
        points.append(
            OperatingPoint(
                name=name, threshold=threshold, sensitivity=noted(sensitivity), specificity=noted(specificity)
            )
        )
    return tuple(points)


def score_bands(
    score: ArrayLike, positive: ArrayLike, groups: ArrayLike, *, most: int = 6, fewest_images: int = 30
) -> tuple[dict[str, float], ...]:
    """Return what share of the calibration images in each band of the score was of the primary label.

    Bands hold about equal numbers of images, at least ``fewest_images`` and 10 groups; neighbours are joined until they
    do, and until the observed rate rises from band to band. The shares hold at the prevalence of these images only.

    Returns:
        For each band, rising: low, high (low <= score < high, the last with its end), rate, rate_low, rate_high, n,
        groups. Empty where the images do not fill one band.
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    group = group_index(groups)
    cuts = np.unique(np.quantile(s, np.arange(1, most) / most, method="higher")) if len(s) else np.empty(0)
    edges = [0.0, *(float(c) for c in cuts if 0.0 < c < 1.0 and c > s.min()), 1.0]

    def inside(low: float, high: float) -> Bools:
        return np.asarray((s >= low) & ((s <= high) if high == 1.0 else (s < high)), dtype=np.bool_)

    def small(mask: Bools) -> bool:
        return int(mask.sum()) < fewest_images or len(np.unique(group[mask])) < FEWEST_GROUPS

    place = 0
    while place < len(edges) - 2:
        here, there = inside(edges[place], edges[place + 1]), inside(edges[place + 1], edges[place + 2])
        if small(here) or small(there) or y[here].mean() >= y[there].mean():
            del edges[place + 1]  # joined with its neighbour; the one before may now be out of order
            place = max(0, place - 1)
        else:
            place += 1
    bands = []
    for low, high in pairwise(edges):
        mask = inside(low, high)
        if small(mask):
            return ()
        rate = proportion(y[mask], group[mask])
        if rate.value is None or rate.low is None or rate.high is None:
            return ()
        bands.append(
            {
                "low": low,
                "high": high,
                "rate": rate.value,
                "rate_low": rate.low,
                "rate_high": rate.high,
                "n": float(mask.sum()),
                "groups": float(len(np.unique(group[mask]))),
            }
        )
    return tuple(bands)
