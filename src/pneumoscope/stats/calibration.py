"""Calibrated probabilities: temperature and class bias, fitted on calibration data only, and observed rates by score.

Everything here is fitted on the first half of the calibration part (``select_first_half``), whose classes are never
resampled: a temperature that is fitted on resampled classes belongs to another prevalence. The other half, of other
groups, serves prediction sets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from pneumoscope.core.halves import in_first_half
from pneumoscope.stats.intervals import FEWEST_GROUPS, estimate_proportion
from pneumoscope.stats.kernels import Bools, Floats
from pneumoscope.stats.metrics import group_index

TEMPERATURE_RANGE = (0.05, 20.0)
_PRIOR_LOG_T = 1.0  # standard deviation of log T
_PRIOR_BIAS = 1.0  # standard deviation of a class bias, in nats


def select_first_half(groups: ArrayLike) -> Bools:
    """Return [N] whether each image is in the first half of the calibration part, by a hash of its group.

    The first half serves temperature, bias, operating points, score bands and refusal, the second prediction sets. The
    hash needs no seed and no order, so that no image changes its half when others are added.
    """
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    first = [in_first_half(str(name)) for name in names]
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

    The penalty is one weak prior for the whole fit, log T ~ N(0, 1) and each bias ~ N(0, 1). With hundreds of images it
    has no effect. Where the logits separate the classes it keeps T from going to 0, that is, from a certainty that no
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
    optimum = minimize(loss, np.zeros(1 + classes), jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12})
    bias = optimum.x[1:] - optimum.x[1:].mean()
    return Scaling(temperature=math.exp(optimum.x[0]), bias=tuple(float(b) for b in bias))


def score_bands(
    score: ArrayLike, positive: ArrayLike, groups: ArrayLike, *, most: int = 6, fewest_images: int = 30
) -> tuple[dict[str, float], ...]:
    """Return the share of the primary label among the calibration images in each band of the score.

    Bands hold about equal numbers of images, at least ``fewest_images`` and 10 groups. Neighbours are merged until they
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
        this, next_one = inside(edges[place], edges[place + 1]), inside(edges[place + 1], edges[place + 2])
        if small(this) or small(next_one) or y[this].mean() >= y[next_one].mean():
            del edges[place + 1]  # merged with its neighbour; the band before may now be out of order
            place = max(0, place - 1)
        else:
            place += 1
    bands = []
    for low, high in pairwise(edges):
        mask = inside(low, high)
        if small(mask):
            return ()
        rate = estimate_proportion(y[mask], group[mask])
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
