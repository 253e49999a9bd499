"""How many patients a study at a site needs, before and after it is made.

Three questions have an answer by formula. How precise are calibration and AUROC (Riley et al., Stat Med 2021,
40:4230)? Is an AUROC surely above a minimum (Obuchowski, Stat Methods Med Res 1998, 7:371)? Is a sensitivity surely
above a minimum (Wilson's interval and the binomial distribution)? All count independent patients: several images of one
patient tell less than as many patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import bdtrc, expit, logit, ndtri

from pneumoscope.stats.auroc_interval import newcombe_variance
from pneumoscope.stats.intervals import TAIL
from pneumoscope.stats.kernels import Floats

SE_OE = 0.051
"""Standard error of ln(O/E) whose interval around 1 is .2 wide (Riley 2021, 3.1)."""
SE_SLOPE = 0.2 / (2 * 1.96)
"""Standard error of a calibration slope whose interval is .2 wide (Riley 2021, 3.2)."""
SE_AUROC = 0.1 / (2 * 1.96)
"""Standard error of an AUROC whose interval is .1 wide (Riley 2021, 3.3)."""
POWER = 0.80
LEAST_PATIENTS = 100
"""Fewest patients with, and without, disease for any figure (Collins, Ogundimu & Altman, Stat Med 2016: 100 events)."""

RILEY = "Riley et al., Stat Med 2021"
OBUCHOWSKI = "Obuchowski, Stat Methods Med Res 1998"
WILSON = "Wilson, JASA 1927"
WILSON_BINOMIAL = "Wilson, JASA 1927; exact binomial power"
COLLINS = "Collins et al., Stat Med 2016"

_MOST = 10_000_000
_LARGE = 100_000
_NODES = 64
"""Nodes of the Gauss-Hermite quadrature over a normal linear predictor."""


def patients_for_oe(prevalence: float, se: float = SE_OE) -> int:
    """Return the patients for a precise ratio of observed to expected cases: (1 - f) / (f SE^2).

    Riley et al. 2021, equation 3, for O/E = 1.

    Args:
        prevalence: Share f of patients with the disease, between 0 and 1.
        se: Aimed standard error of ln(O/E).
    """
    return math.ceil((1 - prevalence) / (prevalence * se**2) - 1e-9)


def patients_for_slope(linear_predictor: ArrayLike, weight: ArrayLike | None = None, se: float = SE_SLOPE) -> int:
    """Return the patients for a precise calibration slope of a calibrated model.

    Riley et al. 2021, equations 5 to 7: N = I00 / (SE^2 (I00 I11 - I01^2)), with Fisher's information of one patient
    at intercept 0 and slope 1.

    Args:
        linear_predictor: [M] logits of the model's probabilities, a sample or the nodes of a quadrature.
        weight: [M] weight of each; None: equal.
        se: Aimed standard error of the slope.

    Returns:
        The number; ten million where the scores do not vary, so that no number suffices.
    """
    x = np.asarray(linear_predictor, dtype=np.float64)
    w = np.ones_like(x) if weight is None else np.asarray(weight, dtype=np.float64)
    p = expit(x)
    information = w / w.sum() * p * (1 - p)
    i00, i01, i11 = (float((information * x**power).sum()) for power in range(3))
    determinant = i00 * i11 - i01**2
    if determinant <= 1e-12 * i00**2:
        return _MOST
    return math.ceil(i00 / (se**2 * determinant) - 1e-9)


def patients_for_auroc(auroc: float, prevalence: float, se: float = SE_AUROC) -> int:
    """Return the patients for a precise AUROC, by Newcombe's variance.

    Riley et al. 2021, equation 8.

    Args:
        auroc: What is expected, between 0.5 and 1, both excluded.
        prevalence: Share of patients with the disease, between 0 and 1.
        se: Aimed standard error.
    """

    def surplus(n: float) -> float:
        return math.sqrt(newcombe_variance(auroc, n * prevalence, n * (1 - prevalence))) - se

    return _first_number(surplus, 2.0)


def _first_number(surplus: Callable[[float], float], least: float) -> int:
    """Return the first whole number from ``least`` on at which a falling function is no longer above 0."""
    if surplus(least) <= 0:
        return math.ceil(least)
    most = least
    while surplus(most) > 0:
        most *= 10
    return math.ceil(float(brentq(surplus, least, most, xtol=1e-9, rtol=1e-14)) - 1e-6)


def expected_linear_predictor(auroc: float, prevalence: float) -> tuple[Floats, Floats]:
    """Return logits and weights of a calibrated model of which only AUROC and prevalence are known.

    Riley et al. 2021, 4.6.3: the logits of both classes are normal with one variance v. Calibration then asks for means
    v apart, so that AUROC = Phi(sqrt(v / 2)), and for a mean of logit(prevalence) - v / 2 without the disease.

    Args:
        auroc: Between 0.5 and 1, both excluded.
        prevalence: Between 0 and 1.

    Returns:
        Two arrays [M] for `patients_for_slope`.
    """
    variance = 2 * float(ndtri(auroc)) ** 2
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    mean = float(logit(prevalence)) - variance / 2
    spread = math.sqrt(variance) * nodes
    x = np.concatenate([mean + spread, mean + variance + spread])
    return x, np.concatenate([(1 - prevalence) * weights, prevalence * weights])


def binormal_variance(auroc: float, ratio: float) -> float:
    """Return the variance of an AUROC, times the number of patients with the disease.

    Obuchowski 1998, equation 8 (after Obuchowski & McClish 1997): .0099 exp(-A^2 / 2) ((5 A^2 + 8) + (A^2 + 8) / ratio)
    with A = 1.414 times the normal quantile of the AUROC, for scores that are normal in both classes.

    Args:
        auroc: Between 0 and 1.
        ratio: Patients without the disease for each one with it.
    """
    a2 = (1.414 * float(ndtri(auroc))) ** 2
    return 0.0099 * math.exp(-a2 / 2) * ((5 * a2 + 8) + (a2 + 8) / ratio)


def cases_for_least_auroc(
    auroc: float, least: float, ratio: float, *, power: float = POWER, tail: float = TAIL
) -> int | None:
    """Return the patients with the disease for an AUROC that is surely above a minimum.

    Obuchowski 1998, equation 4: ((z_tail sqrt(V(least)) + z_power sqrt(V(auroc))) / (auroc - least))^2.

    Args:
        auroc: What is expected.
        least: What its lower limit must reach, from 0.5 on.
        ratio: Patients without the disease for each one with it.
        power: Probability that the lower limit reaches it.
        tail: Probability below the lower limit.

    Returns:
        The number; None where what is expected does not exceed the minimum: no number suffices.
    """
    if not least < auroc < 1:
        return None
    at_least, at_expected = (math.sqrt(binormal_variance(area, ratio)) for area in (least, auroc))
    needed = (float(ndtri(1 - tail)) * at_least + float(ndtri(power)) * at_expected) / (auroc - least)
    return math.ceil(needed**2 - 1e-9)


def patients_for_least_share(share: float, least: float, *, power: float = POWER, tail: float = TAIL) -> int | None:
    """Return the patients from which on a share's lower limit by Wilson reaches a minimum with a given probability.

    Wilson's lower limit reaches m where the share seen is at least m + z sqrt(m (1 - m) / n) (JASA 1927). The number
    seen is binomial, so that its power is a sum of exact probabilities; it goes up and down with n by a step of one
    patient, and the number returned is the one that no larger n falls below. Over 100,000 patients these steps do not
    matter, and the normal approximation is taken: ((z_tail sqrt(m (1 - m)) + z_power sqrt(p (1 - p))) / (p - m))^2.

    Args:
        share: What is expected, p: the true share.
        least: What its lower limit must reach.
        power: Probability that it does.
        tail: Probability below the lower limit.

    Returns:
        The number; None where what is expected does not exceed the minimum: no number suffices.
    """
    if share <= least:
        return None
    z, spread = float(ndtri(1 - tail)), math.sqrt(least * (1 - least))
    near = ((z * spread + float(ndtri(power)) * math.sqrt(share * (1 - share))) / (share - least)) ** 2
    if near > _LARGE:
        return math.ceil(near - 1e-9)
    n = np.arange(1, 2 * math.ceil(near) + 1000)
    fewest = np.ceil(n * least + z * spread * np.sqrt(n) - 1e-9)  # positive ones that the lower limit needs
    reached = np.where(fewest <= n, bdtrc(np.minimum(fewest, n) - 1, n, share), 0.0)
    return int(n[reached < power].max(initial=0)) + 1


def patients_for_share(share: float, width: float) -> int:
    """Return the patients for a share whose 95% interval by Wilson is at most so wide, if it comes out as expected.

    Wilson's interval is 2 z sqrt(p (1 - p) / n + z^2 / (4 n^2)) / (1 + z^2 / n) wide (JASA 1927). It narrows with n.

    Args:
        share: What is expected, between 0 and 1.
        width: From end to end, between 0 and 1.
    """
    z = float(ndtri(1 - TAIL))

    def surplus(n: float) -> float:
        return 2 * z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n) - width

    return _first_number(surplus, 1.0)
