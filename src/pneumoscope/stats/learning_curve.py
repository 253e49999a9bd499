"""What would more data bring? An inverse power law through the figures of growing training sets.

The figure of n patients is taken as a - b n^-c, which learning curves of classifiers follow (Figueroa et al., BMC Med
Inform Decis Mak 2012;12:8). Three numbers from a handful of points foretell little, and a curve that fits well inside
the data can be far off outside (Viering & Loog, IEEE TPAMI 2023). So the answer has an interval, and goes no further
than twice the patients that were measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.stats import kernels
from pneumoscope.stats.bootstrap import Resampling, Statistic
from pneumoscope.stats.comparison.paired import Scores, is_area, parts_of, values_of
from pneumoscope.stats.comparison.ranked_figures import is_better_smaller
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few
from pneumoscope.stats.kernels import Floats, Ints

FARTHEST = 2.0
"""How many times the largest measured number of patients a curve may be asked about."""
FEWEST_SIZES = 4
"""Sizes that a curve of three numbers needs."""
METHOD = "patients of the validation part and repeats drawn again, percentiles"
_EXPONENTS = np.geomspace(0.05, 3.0, 600)


class PowerLaw(Frozen):
    """A curve a - b n^-c (for losses a + b n^-c) that describes the measured sizes; a is no promise of a limit."""

    asymptote: float = Field(description="a; at most the best value that the metric can have")
    amount: float = Field(description="b, 0 or more, with n in shares of the largest size")
    exponent: float = Field(description="c")
    largest: float = Field(description="the largest number of patients that was measured")
    rising: bool = Field(description="whether a larger figure is better")

    def at(self, patients: float) -> float:
        """Return the curve's figure at a number of patients.

        Raises:
            UsageError: It is further out than twice the largest measured number.
        """
        check_reach(patients / self.largest)
        sign = 1 if self.rising else -1
        return float(self.asymptote - sign * self.amount * (patients / self.largest) ** -self.exponent)


def check_reach(times: float) -> None:
    """Check how many times the measured patients a curve is asked about.

    Raises:
        UsageError: More than twice, or no positive number.
    """
    if not 0 < times <= FARTHEST * (1 + 1e-9):
        raise UsageError(
            argument("times", times),
            f"must be over 0 and at most {FARTHEST:g}: outside the measured sizes the curve is a guess.",
            "Ask for 2 or less, or train with more patients.",
        )


def fit_power_law(patients: Sequence[float] | Floats, figures: Floats, *, rising: bool, best: float) -> list[PowerLaw]:
    """Return the least-squares curve of each row of figures.

    For each of a grid of exponents the other two numbers follow in closed form, within b >= 0 and a not beyond the best
    value of the metric.

    Args:
        patients: [P] sizes, four or more different ones.
        figures: [B, P].
        rising: Whether a larger figure is better.
        best: The best value that the metric can have: 1 for an AUROC, 0 for a loss.

    Raises:
        ValueError: There are fewer than four sizes.
    """
    n = np.asarray(patients, dtype=np.float64)
    if len(np.unique(n)) < FEWEST_SIZES:
        raise ValueError(f"a curve needs {FEWEST_SIZES} different sizes")
    y = np.asarray(figures, dtype=np.float64) if rising else -np.asarray(figures, dtype=np.float64)
    top = best if rising else -best
    z = (n / n.max())[None, :] ** -_EXPONENTS[:, None]  # [C, P]
    centred = z - z.mean(axis=1, keepdims=True)
    b = -(y - y.mean(axis=1, keepdims=True)) @ centred.T / (centred**2).sum(axis=1)  # [B, C]
    b = np.maximum(b, 0.0)
    a = y.mean(axis=1)[:, None] + b * z.mean(axis=1)
    beyond = a > top
    at_top = np.maximum(((top - y) @ z.T) / (z**2).sum(axis=1), 0.0)
    a, b = np.where(beyond, top, a), np.where(beyond, at_top, b)
    error = ((y[:, None, :] - a[..., None] + b[..., None] * z) ** 2).sum(axis=2)
    chosen = error.argmin(axis=1)
    rows = np.arange(len(y))
    sign = 1.0 if rising else -1.0
    return [
        PowerLaw(
            asymptote=float(sign * one_a), amount=float(one_b), exponent=float(c), largest=float(n.max()), rising=rising
        )
        for one_a, one_b, c in zip(a[rows, chosen], b[rows, chosen], _EXPONENTS[chosen], strict=True)
    ]


class CurvePoint(Frozen):
    """The figure of one size: the mean over its repeats."""

    share: float = Field(description="of the training patients, over 0 to 1")
    patients: int = Field(description="training groups")
    images: int = Field(description="training images")
    repeats: tuple[float, ...] = Field(description="the figure of each repeat")
    figure: Estimate


class Forecast(Frozen):
    """What the curve says about a number of patients that was not measured."""

    times: float = Field(description="of the largest measured number of patients")
    patients: int
    figure: Estimate
    gain: Estimate = Field(description="its figure less that of the largest measured size, both on the curve")


def measure_repeats(
    statistics: Sequence[Sequence[Statistic]], sample: Resampling, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the mean figure of each size and its draws.

    Each draw takes other patients of the validation part and, with several repeats, other repeats of each size. The
    repeats' deviations are stretched by R / (R - 1) in variance, since R draws of R vary too little.

    Args:
        statistics: For each of P sizes and each of its R repeats, the figure of its network under weights of the
            validation images [B, N] -> [B]; see `figure_under`.
        sample: Draws of the validation images.
        rng: Source of the randomness of the repeats.

    Returns:
        Means [P] and draws [B, P].
    """
    ones = np.ones((1, len(sample.group)))
    means, columns = [], []
    for kernels_of in statistics:
        means.append(float(np.mean([statistic(ones)[0] for statistic in kernels_of])))
        drawn = np.array([np.concatenate([s(weight) for weight in sample.blocks()]) for s in kernels_of])  # [R, B]
        if len(kernels_of) > 1:
            stretch = math.sqrt(len(kernels_of) / (len(kernels_of) - 1))
            centre = drawn.mean(axis=0)
            chosen = rng.integers(0, len(kernels_of), drawn.shape)
            drawn = centre + stretch * (np.take_along_axis(drawn, chosen, axis=0) - centre)
        columns.append(drawn.mean(axis=0))
    return np.array(means), np.column_stack(columns)


def forecast(
    patients: Sequence[float], means: Floats, draws: Floats, times: Sequence[float], metric: str, sample: Resampling
) -> tuple[PowerLaw, tuple[Forecast, ...]]:
    """Return the curve and what it says about more patients.

    Args:
        patients: [P] sizes.
        means: [P] figures.
        draws: [B, P] of them.
        times: How many times the largest size, each at most 2.
        metric: Their name.
        sample: The draws of patients, for whether an interval can be given.

    Raises:
        UsageError: A value of ``times`` is over 2.
        ValueError: There are fewer than four sizes.
    """
    for value in times:
        check_reach(value)
    falling = is_better_smaller(metric)
    finite = draws[np.isfinite(draws).all(axis=1)]
    curve, *curves = fit_power_law(
        patients, np.vstack([means, finite]), rising=not falling, best=0.0 if falling else 1.0
    )
    largest = max(patients)
    now = np.array([each.at(largest) for each in curves])
    forecasts = []
    for value in times:
        then = np.array([each.at(value * largest) for each in curves])
        figure, before = curve.at(value * largest), curve.at(largest)
        forecasts.append(
            Forecast(
                times=value,
                patients=round(value * largest),
                figure=percentiles(figure, then, sample),
                gain=percentiles(figure - before, then - now, sample),
            )
        )
    return curve, tuple(forecasts)


def percentiles(value: float, draws: Floats, sample: Resampling) -> Estimate:
    """Return a figure with the percentiles of its draws; without limits where a class has fewer than 10 groups."""
    if sample.fewest < FEWEST_GROUPS:
        return Estimate(value=value, method=METHOD, note=describe_too_few(sample.fewest))
    low, high = (float(limit) for limit in np.quantile(draws, (TAIL, 1 - TAIL)))
    return with_limits(value, low, high, METHOD)


def figure_under(one: Scores, truth: Ints, metric: str) -> Statistic:
    """Return the metric of one network as a function of weights [B, N] -> [B].

    Args:
        one: Its answers.
        truth: [N] class of each image.
        metric: One of `paired.METRICS`.
    """
    probability = np.asarray(one.probabilities, dtype=np.float64)
    if is_area(metric):
        return lambda weight: kernels.auroc(probability[:, 0], truth == 0, weight)
    values = values_of(one, truth, metric)
    parts = [part.astype(np.float64) for part in parts_of(truth, metric)]
    return lambda weight: np.asarray(
        np.mean([kernels.mean(values, weight * part) for part in parts], axis=0), dtype=np.float64
    )
