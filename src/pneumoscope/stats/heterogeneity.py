"""How much a figure differs between sites: a random-effects meta-analysis of the sites' own figures.

The mean over sites says what to expect on average. The prediction interval says what to expect at one new site that is
like them, and is the answer to "will it work here?" (Debray et al., BMJ 2017;356:i6460 and Stat Methods Med Res
2019;28:2768). The AUROC is pooled on the logit scale, on which sites differ about normally (Snell et al., Stat Methods
Med Res 2018;27:3505), observed over expected cases as a logarithm, the calibration slope as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from pydantic import Field
from scipy.optimize import minimize_scalar
from scipy.special import chdtrc, expit, logit, stdtrit

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats import kernels
from pneumoscope.stats.auroc_interval import obuchowski_variance
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few
from pneumoscope.stats.kernels import Bools, Floats, Ints

POOLED = "random effects (REML), Hartung-Knapp-Sidik-Jonkman interval, never narrower than with tau alone"
PREDICTION = "prediction interval for a new site, Student's quantile with sites - 2 degrees of freedom"
FEW_SITES = 5
"""With fewer sites the variance between them, and so the prediction interval, rests on little."""


class SiteFigure(Frozen):
    """One figure of one site."""

    value: float | None = Field(description="None where it cannot be computed")
    low: float | None = Field(default=None, description="95%, normal on the scale of the pooling")
    high: float | None = None
    weight: float | None = Field(default=None, description="share of the pooled figure, 0 to 1; None: not pooled")
    note: str = Field(default="", description="why it is not pooled")


class PooledFigure(Frozen):
    """One figure over several sites."""

    figure: str = Field(description="auroc, calibration_slope or observed_to_expected")
    scale: str = Field(description="on which it is pooled: logit, log or identity")
    sites: dict[str, SiteFigure]
    mean: Estimate = Field(description="of the sites' true figures, with its 95% interval")
    prediction: Estimate = Field(description="the mean with limits that hold the figure of a new site 95 times in 100")
    tau: float | None = Field(default=None, description="standard deviation of the true figures, on the scale")
    i_squared: float | None = Field(default=None, description="share of the variance that lies between sites, 0 to 1")
    q: float | None = Field(default=None, description="Cochran's Q")
    p_value: float | None = Field(default=None, description="of no difference between the sites (Q)")


class RandomEffects(Frozen):
    """A random-effects meta-analysis on its scale."""

    mean: float
    error: float = Field(description="standard error of the mean, Hartung-Knapp-Sidik-Jonkman's")
    tau2: float
    i_squared: float
    q: float
    p_value: float
    weights: tuple[float, ...] = Field(description="of the sites; they sum to 1")
    interval: tuple[float, float]
    prediction: tuple[float, float] | None = Field(description="None with two sites")


def pool(effects: Floats, variances: Floats, *, at_least_one: bool = True) -> RandomEffects:
    """Return the random-effects mean of K sites.

    tau^2 is estimated by restricted maximum likelihood, the mean's error by Hartung, Knapp, Sidik and Jonkman, with
    Student's quantile of K - 1 degrees of freedom. The prediction interval has K - 2 (Higgins, Thompson and
    Spiegelhalter, JRSS A 2009). I^2 is tau^2 over itself and the typical variance (Higgins & Thompson, Stat Med 2002).

    Args:
        effects: [K] figures on the scale of the pooling, K >= 2.
        variances: [K] of each, > 0.
        at_least_one: Let the correction of the error only widen the interval (Knapp & Hartung, Stat Med 2003): where
            the sites happen to agree, the plain one is shorter than if they were known to be alike.

    Raises:
        ValueError: There are fewer than two sites, or a variance is not above 0.
    """
    y, v = np.asarray(effects, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if len(y) < 2 or not (v > 0).all() or not np.isfinite(y).all():
        raise ValueError("a random-effects mean needs two or more finite figures with variances above 0")
    count = len(y)
    tau2 = _restricted_likelihood(y, v)
    weight = 1 / (v + tau2)
    mean = float((weight * y).sum() / weight.sum())
    correction = float((weight * (y - mean) ** 2).sum() / (count - 1))
    if at_least_one:
        correction = max(1.0, correction)
    error = math.sqrt(correction / weight.sum())
    fixed = 1 / v
    q = float((fixed * (y - (fixed * y).sum() / fixed.sum()) ** 2).sum())
    typical = (count - 1) * fixed.sum() / (fixed.sum() ** 2 - (fixed**2).sum())
    reach = float(stdtrit(count - 1, 1 - TAIL)) * error
    prediction = None
    if count > 2:
        wide = float(stdtrit(count - 2, 1 - TAIL)) * math.sqrt(tau2 + error**2)
        prediction = (mean - wide, mean + wide)
    return RandomEffects(
        mean=mean,
        error=error,
        tau2=tau2,
        i_squared=float(tau2 / (tau2 + typical)),
        q=q,
        p_value=float(chdtrc(count - 1, q)),
        weights=tuple(float(w) for w in weight / weight.sum()),
        interval=(mean - reach, mean + reach),
        prediction=prediction,
    )


def _restricted_likelihood(y: Floats, v: Floats) -> float:
    """Return the tau^2 of the largest restricted likelihood, 0 or more."""

    def loss(tau2: float) -> float:
        weight = 1 / (v + tau2)
        mean = (weight * y).sum() / weight.sum()
        return float((np.log(v + tau2).sum() + math.log(weight.sum()) + (weight * (y - mean) ** 2).sum()) / 2)

    # The likelihood can have two peaks: a grid finds the higher one, then it is refined between its neighbours.
    top = max(float(y.var(ddof=1)) * 10, float(v.max()), 1e-12)
    grid = np.concatenate([[0.0], np.geomspace(1e-8 * top, top, 400)])
    best = int(np.argmin([loss(float(t)) for t in grid]))
    low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-10 * top})
    return 0.0 if loss(0.0) <= found.fun else float(found.x)


def compare_sites(
    probability: Floats, positive: Bools, group: Ints, site: np.ndarray[tuple[int], np.dtype[np.str_]]
) -> tuple[PooledFigure, ...]:
    """Return AUROC, calibration slope and observed over expected cases by site, and over all sites.

    Each site's variance counts the images of a patient together: Obuchowski's for the AUROC, a sandwich over groups for
    the slope and for the logarithm of observed over expected cases. A site without 10 groups with and 10 without the
    class, or whose figure has no finite value on its scale, is listed and not pooled.

    Args:
        probability: [N] of the class, 0 to 1.
        positive: [N] whether the image is of the class.
        group: [N] integers.
        site: [N] names.

    Returns:
        One entry for each figure; none with a single site.
    """
    names = [str(name) for name in np.unique(site)]
    if len(names) < 2:
        return ()
    return tuple(
        _pool_figure(figure, scale, {name: _of_site(measure, probability, positive, group, site == name)
                                     for name in names}, back)
        for figure, scale, measure, back in _FIGURES
    )  # fmt: skip


_Effect = tuple[float, float]
"""A figure on the scale of the pooling, and its variance."""


def _of_site(
    measure: Callable[[Floats, Bools, Ints], _Effect], probability: Floats, positive: Bools, group: Ints, here: Bools
) -> _Effect | str:
    """Return a site's effect, or why it has none."""
    truth, groups = positive[here], group[here]
    if not truth.any() or truth.all():
        return "all its images are of the class" if truth.any() else "it has no image of the class"
    fewest = min(len(np.unique(groups[truth])), len(np.unique(groups[~truth])))
    if fewest < FEWEST_GROUPS:
        return describe_too_few(fewest)
    value, variance = measure(probability[here], truth, groups)
    if not (math.isfinite(value) and math.isfinite(variance) and variance > 0):
        return "its classes are separated, or all its images alike: no finite value on this scale"
    return value, variance


def _pool_figure(
    figure: str, scale: str, effects: Mapping[str, _Effect | str], back: Callable[[float], float]
) -> PooledFigure:
    usable = {name: effect for name, effect in effects.items() if not isinstance(effect, str)}
    pooled = None
    if len(usable) > 1:
        values, variances = (np.array(column) for column in zip(*usable.values(), strict=True))
        pooled = pool(values, variances)
    weights = dict(zip(usable, pooled.weights, strict=True)) if pooled else {}
    sites = {}
    for name, effect in effects.items():
        if isinstance(effect, str):
            sites[name] = SiteFigure(value=None, note=effect)
            continue
        reach = float(stdtrit(np.inf, 1 - TAIL)) * math.sqrt(effect[1])
        low, high = back(effect[0] - reach), back(effect[0] + reach)
        sites[name] = SiteFigure(value=back(effect[0]), low=low, high=high, weight=weights.get(name))
    if pooled is None:
        nothing = Estimate(value=None, note=f"{len(usable)} of {len(effects)} sites can be pooled; it takes two")
        return PooledFigure(figure=figure, scale=scale, sites=sites, mean=nothing, prediction=nothing)
    few = f"{len(usable)} sites only: the spread between sites is hardly known" if len(usable) < FEW_SITES else ""
    value = back(pooled.mean)
    mean = with_limits(value, back(pooled.interval[0]), back(pooled.interval[1]), POOLED, few)
    prediction = Estimate(value=value, method=PREDICTION, note="it takes three sites or more")
    if pooled.prediction is not None:
        low, high = (back(limit) for limit in pooled.prediction)
        prediction = with_limits(value, low, high, PREDICTION, few)
    return PooledFigure(
        figure=figure,
        scale=scale,
        sites=sites,
        mean=mean,
        prediction=prediction,
        tau=math.sqrt(pooled.tau2),
        i_squared=pooled.i_squared,
        q=pooled.q,
        p_value=pooled.p_value,
    )


def logit_auroc(score: Floats, positive: Bools, group: Ints) -> tuple[float, float]:
    """Return the logit of the AUROC and its variance (delta method, Obuchowski's variance)."""
    area = float(kernels.auroc(score, positive, np.ones((1, len(score))))[0])
    if not 0 < area < 1:
        return math.inf, math.inf
    return float(logit(area)), obuchowski_variance(score, positive, group) / (area * (1 - area)) ** 2


def slope_effect(probability: Floats, positive: Bools, group: Ints) -> tuple[float, float]:
    """Return the calibration slope and its variance, a sandwich over groups (Liang & Zeger 1986)."""
    ones = np.ones((1, len(probability)))
    slope = float(kernels.calibration_slope(probability, positive, ones)[0])
    if not math.isfinite(slope):
        return slope, math.inf
    x, y = kernels.logit(probability), positive.astype(np.float64)
    # The intercept that belongs to the slope: the fit of the scaled logits with the slope held at 1.
    intercept = float(kernels.calibration_intercept(expit(slope * x), positive, ones)[0])
    mu = expit(intercept + slope * x)
    design = np.column_stack([np.ones_like(x), x])
    bread = np.linalg.inv(design.T @ (design * (mu * (1 - mu))[:, None]))
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    score = np.column_stack([np.bincount(index, weights=column * (y - mu)) for column in design.T])
    groups = len(score)
    return slope, float((bread @ (score.T @ score) @ bread)[1, 1] * groups / (groups - 1))


def log_observed_to_expected(probability: Floats, positive: Bools, group: Ints) -> tuple[float, float]:
    """Return the logarithm of observed over expected cases and its variance, that of a ratio of sums over groups."""
    observed, expected = float(positive.sum()), float(probability.sum())
    if not observed or not expected:
        return math.inf, math.inf
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    excess = np.bincount(index, weights=positive - probability * observed / expected)
    groups = len(excess)
    return math.log(observed / expected), float((excess**2).sum() * groups / (groups - 1) / observed**2)


def _same(value: float) -> float:
    return value


def _expit(value: float) -> float:
    return float(expit(value))


_FIGURES: tuple[tuple[str, str, Callable[[Floats, Bools, Ints], _Effect], Callable[[float], float]], ...] = (
    ("auroc", "logit", logit_auroc, _expit),
    ("calibration_slope", "identity", slope_effect, _same),
    ("observed_to_expected", "log", log_observed_to_expected, math.exp),
)
