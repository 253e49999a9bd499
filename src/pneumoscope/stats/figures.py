"""All figures of one model on one set of images, each with its interval.

`evaluate_predictions` takes arrays and returns a record that can be written as JSON. Training and evaluation call it,
so that a figure means the same in a card, a report and a training log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats import conformal, metrics
from pneumoscope.stats.bootstrap import resample
from pneumoscope.stats.curve_points import CurvePoints, ScoreBand, compute_curve_points, observed_score_bands
from pneumoscope.stats.decision import DecisionCurve, decision_curve
from pneumoscope.stats.design import EITHER, Design, designs_of, with_design
from pneumoscope.stats.estimates import Estimate, Promises
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.metric_registry import AllClasses
from pneumoscope.stats.metric_table import CLASS_METRICS, OVERALL_METRICS
from pneumoscope.stats.plain_language import few_groups
from pneumoscope.stats.predictive_values import PREVALENCES, PredictiveValues, predictive_values
from pneumoscope.stats.prevalence import at_prior, primary_prior
from pneumoscope.stats.selective import RiskCoverage, risk_coverage
from pneumoscope.stats.thresholds import at_threshold

OVERALL = OVERALL_METRICS.names
BY_CLASS = CLASS_METRICS.names


class OperatingResult(Frozen):
    """The effect of a frozen threshold on the primary label's probability on these images."""

    name: str
    threshold: float
    sensitivity: Estimate
    specificity: Estimate
    flagged: int = Field(description="images whose score reaches the threshold")
    predictive: tuple[PredictiveValues, ...] = Field(default=(), description="PPV and NPV at stated prevalences")


class Figures(Frozen):
    """All figures of one model on one set of images. The first class is the primary one."""

    images: int
    groups: int
    classes: tuple[str, ...]
    class_images: dict[str, int]
    class_groups: dict[str, int]
    overall: dict[str, Estimate]
    by_class: dict[str, dict[str, Estimate]]
    confusion: tuple[tuple[int, ...], ...] = Field(description="row = truth, column = class of the largest probability")
    operating: tuple[OperatingResult, ...]
    plots: CurvePoints
    score_bands: tuple[ScoreBand, ...] = Field(default=(), description="the card's bands: promised and observed rates")
    decision_curves: tuple[DecisionCurve, ...] = Field(
        default=(), description="at the prevalence of these images, then at stated ones"
    )
    risk_coverage: tuple[RiskCoverage, ...] = Field(default=(), description="by confidence and, where given, by ood")
    prediction_sets: conformal.SetCoverage | None = Field(default=None, description="None where the card has none")
    warnings: tuple[str, ...] = Field(default=(), description="classes with fewer than 100 groups")
    design: Design | None = Field(default=None, description="of the study; None where it is not stated")

    def flat(self) -> dict[str, Estimate]:
        """Return every figure under one name: ``accuracy``, ``covid-19/auroc``, ``sensitivity-95/specificity``."""
        result = dict(self.overall)
        for name, estimates in self.by_class.items():
            result |= {f"{name}/{key}": value for key, value in estimates.items()}
        for point in self.operating:
            result |= {f"{point.name}/sensitivity": point.sensitivity, f"{point.name}/specificity": point.specificity}
        return result


def evaluate_predictions(
    probabilities: ArrayLike,
    truth: ArrayLike,
    groups: ArrayLike,
    classes: Sequence[str],
    *,
    thresholds: Mapping[str, float] | None = None,
    rng: np.random.Generator,
    resamples: int = 2000,
    promises: Promises | None = None,
    ood: ArrayLike | None = None,
    design: Design | None = None,
) -> Figures:
    """Measure probabilities against the truth.

    Args:
        probabilities: [N, C], rows sum to 1, columns in the order of ``classes``; the first class is the primary one.
        truth: [N] in 0..C-1.
        groups: [N] name of each image's group (patient, cluster or image).
        classes: C names.
        thresholds: Operating point -> threshold on the primary class's probability, chosen before on other images.
        rng: Source of the bootstrap's randomness.
        resamples: Bootstrap resamples; with 0 the intervals that need them are missing, and a note says so.
        promises: What the model's card promises. It adds the figures that test it: score bands, decision curves, risk
            against coverage, prediction sets.
        ood: [N] out-of-distribution scores, for risk against coverage.
        design: Of the study; None, not stated, gives every figure the wider of its intervals for either design.

    Returns:
        The figures; each is None where there is no image.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.intp)
    if p.shape != (len(y), len(classes)) or len(np.asarray(groups)) != len(y):
        raise ValueError(f"probabilities {p.shape} do not fit {len(y)} labels and {len(classes)} classes")
    if len(y) and not (np.abs(p.sum(axis=1) - 1).max() < 1e-3 and p.min() >= -1e-6):
        raise ValueError("probabilities must not be negative and each row must sum to 1")
    group = metrics.group_index(groups)
    designs = designs_of(design)
    studies = {
        each: AllClasses(
            p,
            y,
            group,
            resample(y, group, len(classes), rng, resamples, each) if len(y) and resamples else None,
            each,
        )
        for each in designs
    }
    images = studies[designs[0]]
    confusion = metrics.confusion_matrix(y, images.decided, len(classes))
    class_groups = {name: len(np.unique(group[y == k])) for k, name in enumerate(classes)}
    promised = _promised_figures(studies, promises, ood, design) if promises is not None and len(y) else {}
    return Figures(
        images=len(y),
        groups=len(np.unique(group)),
        classes=tuple(classes),
        class_images={name: int((y == k).sum()) for k, name in enumerate(classes)},
        class_groups=class_groups,
        overall=OVERALL_METRICS.estimates(studies),
        by_class={
            name: CLASS_METRICS.estimates({each: study.one_class(k) for each, study in studies.items()})
            for k, name in enumerate(classes)
        },
        design=design,
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        operating=tuple(
            _operating(name, threshold, p[:, 0], y == 0, group, design)
            for name, threshold in (thresholds or {}).items()
        ),
        plots=compute_curve_points(p, y, group, classes),
        warnings=few_groups(class_groups, "these images") if len(y) else (),
        **promised,
    )


def _promised_figures(
    studies: Mapping[Design, AllClasses], promises: Promises, ood: ArrayLike | None, design: Design | None
) -> dict[str, Any]:
    """Return the figures that test the card's promises, by their names in ``Figures``."""
    images = next(iter(studies.values()))
    p, y, group = images.probability, images.truth, images.group
    samples = [study.sample for study in studies.values() if study.sample is not None]
    positive, wrong = y == 0, ~images.correct
    trusts = {"confidence": p.max(axis=1)}
    if ood is not None:
        trusts["ood"] = -np.asarray(ood, dtype=np.float64)
    curves = [decision_curve(p[:, 0], positive, group, design=design)]
    if min(promises.class_prior) > 0:
        for prevalence in PREVALENCES:
            moved = at_prior(p, promises.class_prior, primary_prior(promises.class_prior, prevalence))
            curves.append(decision_curve(moved[:, 0], positive, group, prevalence=prevalence))
    sets = promises.prediction_sets
    return {
        "score_bands": observed_score_bands(p[:, 0], positive, group, promises.score_bands),
        "decision_curves": tuple(curves),
        "risk_coverage": tuple(risk_coverage(by, trust, wrong, group, samples) for by, trust in trusts.items()),
        "prediction_sets": sets and conformal.measure(p, y, group, promises.labels, sets.thresholds, sets.alpha),
    }


def _operating(
    name: str, threshold: float, score: Floats, positive: Bools, group: Ints, design: Design | None
) -> OperatingResult:
    sensitivity, specificity = (with_design(e, EITHER) for e in at_threshold(score, positive, group, threshold))
    called = score >= threshold
    return OperatingResult(
        name=name,
        threshold=threshold,
        sensitivity=sensitivity,
        specificity=specificity,
        flagged=int(called.sum()),
        predictive=tuple(predictive_values(called, positive, group, share, design) for share in PREVALENCES),
    )
