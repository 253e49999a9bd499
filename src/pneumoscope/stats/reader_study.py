"""Does an aid change how well readers tell disease from none: many readers, many cases, each read twice.

The analysis of Obuchowski and Rockette (Communications in Statistics 1995), with the degrees of freedom of Hillis
(Statistics in Medicine 2007, 26:596): readers and cases are both samples, so that a result speaks of other readers and
other cases. Each reader's AUROC in each mode is an outcome; the covariances of the outcomes come from the cases
(DeLong et al., Biometrics 1988; with several cases of a patient Obuchowski, Biometrics 1997).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from scipy.special import fdtrc, stdtrit

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.auroc_interval import auroc_components, components_variance
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.metrics import group_index

METHOD = "Obuchowski & Rockette 1995, degrees of freedom by Hillis 2007"


class ReaderAreas(Frozen):
    """One reader's AUROC in the two modes."""

    first: float
    second: float


class ReaderStudy(Frozen):
    """Readers' AUROCs in two modes, and the difference for other readers and other cases."""

    readers: int
    cases: int
    positives: int
    first: Estimate = Field(description="AUROC of the first mode, mean over readers")
    second: Estimate
    difference: Estimate = Field(description="second less first")
    p_value: float | None = Field(description="of no difference; None where it cannot be given")
    freedom: float | None = Field(description="degrees of freedom of the difference")
    by_reader: tuple[ReaderAreas, ...]


class VarianceComponents(Frozen):
    """The mean squares and covariances that the analysis rests on, of readers' outcomes in two modes."""

    mean_square_mode: float
    mean_square_interaction: float = Field(description="of mode and reader")
    same_mode: float = Field(description="covariance of two readers in one mode")
    no_share: float = Field(description="covariance of two readers in two modes")
    readers: int

    @property
    def denominator(self) -> float:
        """Of the F ratio: MS(TR) + max(R (Cov2 - Cov3), 0)."""
        return self.mean_square_interaction + max(self.readers * (self.same_mode - self.no_share), 0.0)

    @property
    def freedom(self) -> float:
        """Of the denominator, for two modes (Hillis 2007, equation 10); infinite where the readers do not vary."""
        if self.mean_square_interaction <= 0:
            return math.inf
        return self.denominator**2 / (self.mean_square_interaction**2 / (self.readers - 1))

    @property
    def p_value(self) -> float | None:
        """Of no difference between the modes; None where nothing varies."""
        if self.denominator <= 0:
            return None
        freedom = min(self.freedom, 1e9)
        return float(fdtrc(1, freedom, self.mean_square_mode / self.denominator))


def compare_modes(scores: ArrayLike, positive: ArrayLike, groups: ArrayLike) -> ReaderStudy:
    """Compare two modes of reading the same cases by the same readers.

    Args:
        scores: [2, R, N] each reader's likelihood of disease, in the first and the second mode.
        positive: [N] whether a case has the disease.
        groups: [N] name of each case's patient.

    Returns:
        The comparison; with fewer than two readers, or fewer than 10 patients with or without disease, it has no
        intervals, and a note says so.

    Raises:
        ValueError: The shapes do not fit, or one class has no case.
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    group = group_index(groups)
    if s.ndim != 3 or s.shape[0] != 2 or s.shape[2] != len(y) or len(group) != len(y) or y.all() or not y.any():
        raise ValueError(f"scores {s.shape} must be [2, readers, cases], with cases of both classes")
    readers = s.shape[1]
    components = np.stack([[auroc_components(one, y) for one in mode] for mode in s])
    areas = np.array([[part[y].mean() for part in mode] for mode in components])
    means = areas.mean(axis=1)
    few = min(len(np.unique(group[y])), len(np.unique(group[~y])))
    note = "one reader says nothing of other readers" if readers < 2 else ""
    note = note or (describe_too_few(few, "class") if few < FEWEST_GROUPS else "")
    facts: dict[str, float | None] = {"p_value": None, "freedom": None}
    estimates = [Estimate(value=float(value), method=METHOD, note=note) for value in (*means, means[1] - means[0])]
    if not note:
        covariance = _covariance(components.reshape(2 * readers, -1), y, group)
        parts = variance_components(areas, covariance)
        facts = {"p_value": parts.p_value, "freedom": parts.freedom if math.isfinite(parts.freedom) else None}
        reach = _reach(2 / readers * parts.denominator, parts.freedom)
        gap = float(means[1] - means[0])
        estimates = [
            *(_mean_of_mode(areas[k], covariance, k, readers) for k in range(2)),
            with_limits(gap, gap - reach, gap + reach, METHOD),
        ]
    return ReaderStudy(
        readers=readers,
        cases=len(y),
        positives=int(y.sum()),
        first=estimates[0],
        second=estimates[1],
        difference=estimates[2],
        by_reader=tuple(ReaderAreas(first=float(one), second=float(other)) for one, other in areas.T),
        **facts,
    )


def variance_components(areas: Floats, covariance: Floats) -> VarianceComponents:
    """Return what the analysis rests on.

    Args:
        areas: [2, R] AUROC of each reader in each mode.
        covariance: [2 R, 2 R] of these, mode by mode.
    """
    readers = areas.shape[1]
    by_mode, by_reader, overall = areas.mean(axis=1), areas.mean(axis=0), areas.mean()
    interaction = areas - by_mode[:, None] - by_reader[None] + overall
    blocks = covariance.reshape(2, readers, 2, readers)
    other = ~np.eye(readers, dtype=np.bool_)
    return VarianceComponents(
        mean_square_mode=float(readers * ((by_mode - overall) ** 2).sum()),
        mean_square_interaction=float((interaction**2).sum() / (readers - 1)),
        same_mode=float(np.mean([blocks[k, :, k][other].mean() for k in range(2)])),
        no_share=float(np.mean([blocks[0, :, 1][other].mean(), blocks[1, :, 0][other].mean()])),
        readers=readers,
    )


def _covariance(components: Floats, positive: Bools, group: Ints) -> Floats:
    """Return the covariances [K, K] of K areas on the same cases, from their components [K, N].

    A covariance is half of what the variance of the difference lacks.
    """
    own = [components_variance(one, positive, group) for one in components]
    covariance = np.diag(np.array(own))
    for i in range(len(own)):
        for j in range(i):
            gap = components_variance(components[i] - components[j], positive, group)
            covariance[i, j] = covariance[j, i] = (own[i] + own[j] - gap) / 2
    return covariance


def _mean_of_mode(areas: Floats, covariance: Floats, mode: int, readers: int) -> Estimate:
    """Return the mean AUROC of one mode with its interval (Hillis 2007, the analysis of a single mode)."""
    block = covariance.reshape(2, readers, 2, readers)[mode, :, mode]
    other = ~np.eye(readers, dtype=np.bool_)
    between, shared = float(areas.var(ddof=1)), max(readers * float(block[other].mean()), 0.0)
    freedom = (between + shared) ** 2 / (between**2 / (readers - 1)) if between > 0 else math.inf
    reach, mean = _reach((between + shared) / readers, freedom), float(areas.mean())
    return with_limits(mean, max(0.0, mean - reach), min(1.0, mean + reach), METHOD)


def _reach(variance: float, freedom: float) -> float:
    return float(stdtrit(min(freedom, 1e9), 1 - TAIL)) * math.sqrt(variance)
