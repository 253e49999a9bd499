"""The interval of a ratio of two proportions, which likelihood ratios and predictive values rest on.

A score interval (Koopman, Biometrics 1984; with Miettinen & Nurminen's factor, Stat Med 1985): the ratios r for which
the observed shares would not be unusual. It needs no exception where a share is 0 or 1, and holds with 10 images of
either kind, where the variance of a logarithm fails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

METHOD = "score interval of the ratio (Koopman 1984; Miettinen & Nurminen 1985), effective sizes"
_FAR = 30.0  # logarithm of the largest ratio in the search


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion and the number of independent images that it rests on."""

    value: float
    size: float

    @property
    def rest(self) -> Share:
        """The share of the remaining images."""
        return Share(1.0 - self.value, self.size)


def ratio_limits(top: Share, bottom: Share, quantile: float) -> tuple[float, float]:
    """Return the limits of top / bottom; the upper one is infinite where bottom is 0, and 0 to infinity with both 0."""
    if top.value == 0 and bottom.value == 0:
        return 0.0, math.inf
    start = -_FAR if top.value == 0 else _FAR if bottom.value == 0 else math.log(top.value / bottom.value)

    def solve(inner: float, outer: float) -> float:
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if abs(_score(top, bottom, middle)) < quantile else (inner, middle)
        return math.exp(outer)

    low = 0.0 if top.value == 0 else solve(start, -_FAR)
    return low, math.inf if bottom.value == 0 else solve(start, _FAR)


def _score(top: Share, bottom: Share, logarithm: float) -> float:
    """Return how many standard errors the shares are from a ratio, under the likeliest shares that have it."""
    ratio = math.exp(logarithm)
    m, n = top.size, bottom.size
    # The likeliest bottom q with top = ratio q is the smaller root of a q^2 - b q + c.
    a = (m + n) * ratio
    b = (m + n * bottom.value) * ratio + n + m * top.value
    c = m * top.value + n * bottom.value
    q = 2 * c / (b + math.sqrt(max(0.0, b * b - 4 * a * c)))
    q = min(q, 1.0, 1.0 / ratio)
    p = min(1.0, ratio * q)
    variance = (p * (1 - p) / m + ratio**2 * q * (1 - q) / n) * (m + n) / (m + n - 1)
    gap = top.value - ratio * bottom.value
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0
