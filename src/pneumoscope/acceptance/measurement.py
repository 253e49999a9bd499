"""The figures of an acceptance: from scores, refusals and references to intervals, and from these to a verdict.

An image that the model refuses is no reason to leave a patient out: where the figures count, a refused image with
disease is missed and a refused one without is a false alarm (intention to diagnose; Schuetz et al., BMJ 2012,
345:e6717). The figures among answered images stand beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pneumoscope.acceptance.result import AcceptanceCriterion, ThresholdFigures
from pneumoscope.bundle.evidence import AcceptanceMinima, AcceptanceVerdict, MonitorBaseline, PlanFact
from pneumoscope.bundle.prediction import Prediction
from pneumoscope.bundle.verdict import UNLIKE
from pneumoscope.core.errors import ManifestError
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.bootstrap import resample
from pneumoscope.stats.crossfit import CrossFit, crossfit_threshold
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import FEWEST_GROUPS, estimate_proportion
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.metric_registry import AllClasses
from pneumoscope.stats.metric_table import (
    class_calibration_intercept,
    class_calibration_slope,
    class_observed_to_expected,
)

UNREADABLE = "unreadable"
"""The code of an image that could not be read."""
RESAMPLES = 1000
_MOST_KEPT = 1000
_BEST, _WORST = 2.0, -1.0
"""Scores beyond all probabilities, for refused images without and with disease."""

TITLES = {
    "sensitivity": "Sensitivity at the refitted threshold",
    "specificity": "Specificity at the refitted threshold",
    "auroc": "AUROC",
}


@dataclass(frozen=True)
class SiteCases:
    """The cases of a site as the model scored them; N images.

    Attributes:
        score: [N] the primary label's probability; NaN where the image could not be read.
        ood: [N] out-of-distribution score; NaN where the model did not run.
        called: [N] whether the card's decision is the primary label; False where refused.
        positive: [N] whether the reference says disease.
        group: [N] in 0..G-1.
        code: [N] why the image was refused, as a word; empty where it was answered.
        reasons: The same word -> one such reason in words.
    """

    score: Floats
    ood: Floats
    called: Bools
    positive: Bools
    group: Ints
    code: tuple[str, ...]
    reasons: dict[str, str]

    @property
    def answered(self) -> Bools:
        """[N] whether the model gave an answer."""
        return np.array([not code for code in self.code], dtype=np.bool_)

    def patients(self, side: Bools) -> int:
        """Return the number of groups among some images.

        Args:
            side: [N] which images.
        """
        return len(np.unique(self.group[side]))


def gather_cases(predictions: Sequence[Prediction], primary: str, positive: Bools, group: Ints) -> SiteCases:
    """Return the cases of a site from its predictions.

    Args:
        predictions: [N] with scores of refused images too.
        primary: The label that means disease.
        positive: [N].
        group: [N] in 0..G-1.

    Raises:
        ManifestError: No image could be read.
    """
    codes: list[str] = []
    reasons: dict[str, str] = {}
    for each in predictions:
        code = UNREADABLE if each.error is not None else (each.codes or ("refused",))[0] if each.refused else ""
        codes.append(code)
        if code:
            reasons.setdefault(code, "the file could not be read" if code == UNREADABLE else each.reason)
    if all(code == UNREADABLE for code in codes):
        first = predictions[0].error or ""
        raise ManifestError("the site's cases", f"none of {len(codes)} images could be read.", first)
    return SiteCases(
        score=np.array([each.probabilities[0] if each.probabilities else np.nan for each in predictions]),
        ood=np.array([np.nan if each.ood is None else each.ood for each in predictions]),
        called=np.array([each.decision == primary for each in predictions], dtype=np.bool_),
        positive=positive,
        group=group,
        code=tuple(codes),
        reasons=reasons,
    )


def refit_threshold(cases: SiteCases, plan: PlanFact) -> CrossFit | None:
    """Return the cross-fitted decisions of the answered images; None where too few of either class were answered.

    Args:
        cases: Of the site.
        plan: With the folds, the seed and the sensitivity to aim at.
    """
    answered = cases.answered
    if min(cases.patients(answered & side) for side in (cases.positive, ~cases.positive)) < max(
        FEWEST_GROUPS, plan.folds
    ):
        return None
    group = np.unique(cases.group[answered], return_inverse=True)[1].reshape(-1)
    return crossfit_threshold(
        cases.score[answered],
        cases.positive[answered],
        group,
        plan.target_sensitivity,
        plan.folds,
        np.random.default_rng(plan.seed),
    )


def measure_decisions(cases: SiteCases, called: Bools) -> ThresholdFigures:
    """Return sensitivity and specificity of decisions, of all images and of the answered ones.

    Args:
        cases: Of the site.
        called: [A] whether each answered image is called positive.
    """
    answered = cases.answered
    hit, right = np.zeros(len(answered), dtype=np.bool_), np.zeros(len(answered), dtype=np.bool_)
    hit[answered], right[answered] = called, ~called
    diseased, others = cases.positive, ~cases.positive

    def share(success: Bools, side: Bools, what: str) -> Estimate:
        return estimate_proportion(success[side], cases.group[side], what=what)

    return ThresholdFigures(
        sensitivity=share(hit, diseased, "class"),
        specificity=share(right, others, "class of the others"),
        sensitivity_answered=share(hit, diseased & answered, "class, answered"),
        specificity_answered=share(right, others & answered, "class of the others, answered"),
    )


def measure_auroc(cases: SiteCases) -> tuple[Estimate, Estimate]:
    """Return the AUROC of all images, refused ones ranked on the wrong side, and that of the answered ones.

    Args:
        cases: Of the site.
    """
    answered = cases.answered
    everyone = np.where(answered, cases.score, np.where(cases.positive, _WORST, _BEST))
    return (
        estimate_auroc(everyone, cases.positive, cases.group),
        estimate_auroc(cases.score[answered], cases.positive[answered], cases.group[answered])
        if answered.any()
        else Estimate(value=None, note="no image was answered"),
    )


def list_criteria(
    minima: AcceptanceMinima, decisions: ThresholdFigures, auroc: tuple[Estimate, Estimate]
) -> tuple[AcceptanceCriterion, ...]:
    """Return each minimum with what the cases show.

    Args:
        minima: That were stated before.
        decisions: At the refitted threshold.
        auroc: Of all images and of the answered ones.
    """
    figures = {
        "sensitivity": (decisions.sensitivity, decisions.sensitivity_answered, minima.sensitivity),
        "specificity": (decisions.specificity, decisions.specificity_answered, minima.specificity),
        "auroc": (*auroc, minima.auroc),
    }
    return tuple(
        AcceptanceCriterion(
            name=name,
            title=TITLES[name],
            figure=figure,
            answered=answered,
            minimum=minimum,
            holds=None if figure.low is None else figure.low >= minimum,
            surely_fails=figure.high is not None and figure.high < minimum,
        )
        for name, (figure, answered, minimum) in figures.items()
    )


def conclude(
    plan: PlanFact, criteria: Sequence[AcceptanceCriterion], patients_with: int, patients_without: int
) -> tuple[AcceptanceVerdict, str]:
    """Return the verdict and its reason.

    Every minimum must hold, so that no correction for several of them is needed: a model that lacks one of them gets a
    go no more often than that one minimum allows (intersection-union test; Berger, Technometrics 1982).

    Args:
        plan: What was asked for.
        criteria: What the cases show.
        patients_with: Patients with the disease.
        patients_without: Patients without it.
    """
    least = plan.least_patients
    if min(patients_with, patients_without) < least:
        return "insufficient", (
            f"{patients_with} patients with and {patients_without} without disease; a go needs {least} of either kind. "
            "The figures below are a first look and decide nothing."
        )
    if unknown := [one.title for one in criteria if one.holds is None]:
        return "insufficient", f"No interval can be given for: {', '.join(unknown)}."
    misses = [one for one in criteria if not one.holds]
    if not misses:
        return "go", "Every lower limit reaches its minimum: " + "; ".join(map(_compare, criteria)) + "."
    doubtful = all(not one.surely_fails for one in misses)
    rest = " More cases may settle it: the minimum lies inside the interval." if doubtful else ""
    return "no-go", "Not shown: " + "; ".join(map(_compare, misses)) + f".{rest}"


def _compare(criterion: AcceptanceCriterion) -> str:
    title = criterion.title if criterion.name == "auroc" else criterion.name
    return f"{title} {criterion.figure} against at least {criterion.minimum:g}"


@dataclass(frozen=True)
class SiteCalibration:
    """How scores and the disease's share fit at a site.

    Attributes:
        slope: 1 is perfect.
        intercept: In logits; None for enriched sampling.
        observed_to_expected: Cases over the sum of the probabilities; None for enriched sampling.
    """

    slope: Estimate
    intercept: Estimate | None
    observed_to_expected: Estimate | None


def measure_calibration(cases: SiteCases, plan: PlanFact) -> SiteCalibration:
    """Return the calibration on the answered images.

    Args:
        cases: Of the site.
        plan: With sampling and seed.
    """
    answered = cases.answered
    score, positive = cases.score[answered], cases.positive[answered]
    group = np.unique(cases.group[answered], return_inverse=True)[1].reshape(-1)
    design: Design = "cohort" if plan.sampling == "consecutive" else "case-control"
    truth = np.where(positive, 0, 1).astype(np.intp)
    rng = np.random.default_rng(plan.seed)
    sample = resample(truth, group, 2, rng, RESAMPLES, design) if len(score) else None
    images = AllClasses(np.stack([score, 1 - score], axis=1), truth, group, sample, design).one_class(0)
    slope = class_calibration_slope(images)
    if plan.sampling == "enriched":
        return SiteCalibration(slope, None, None)
    return SiteCalibration(slope, class_calibration_intercept(images), class_observed_to_expected(images))


def measure_predictive_values(cases: SiteCases, called: Bools) -> tuple[Estimate, Estimate]:
    """Return PPV and NPV of the answered images at this site's own prevalence.

    Args:
        cases: Of the site, consecutive.
        called: [A] whether each answered image is called positive.
    """
    answered = cases.answered
    positive, group = cases.positive[answered], cases.group[answered]
    ppv = estimate_proportion(positive[called], group[called], what="set of images called positive")
    npv = estimate_proportion(~positive[~called], group[~called], what="set of images called negative")
    return ppv, npv


def measure_refusals(cases: SiteCases) -> tuple[Estimate, Estimate, Estimate, dict[str, Estimate]]:
    """Return the share of refused images: of all, with disease, without, and of all for each reason.

    Args:
        cases: Of the site.
    """
    refused = ~cases.answered

    def share(of: Bools, side: Bools) -> Estimate:
        return estimate_proportion(of[side], cases.group[side], what="set of images")

    everyone = np.ones(len(refused), dtype=np.bool_)
    codes = np.array(cases.code)
    by_reason = {
        code: share(np.asarray(codes == code, dtype=np.bool_), everyone)
        for code, _ in Counter(code for code in cases.code if code).most_common()
    }
    return share(refused, everyone), share(refused, cases.positive), share(refused, ~cases.positive), by_reason


def describe_baseline(cases: SiteCases, seed: int) -> MonitorBaseline:
    """Return what later weeks of a server are compared with: one image of each patient, so that they are independent.

    Args:
        cases: Of the site.
        seed: Chooses the values to keep where there are more than a thousand.
    """
    first = np.zeros(len(cases.score), dtype=np.bool_)
    first[np.unique(cases.group, return_index=True)[1]] = True
    codes, answered = np.array(cases.code), cases.answered & first
    readable = first & (codes != UNREADABLE)
    rng = np.random.default_rng(seed)

    def sample(values: Floats) -> tuple[float, ...]:
        finite = values[np.isfinite(values)]
        if len(finite) > _MOST_KEPT:
            finite = rng.choice(finite, _MOST_KEPT, replace=False)
        return tuple(round(float(value), 6) for value in np.sort(finite))

    return MonitorBaseline(
        images=int(readable.sum()),
        refused=int((readable & ~cases.answered).sum()),
        scores=sample(cases.score[answered]),
        # A server runs no model on what the gatekeeper refuses, so that those images have no such score there.
        ood=sample(cases.ood[answered | (readable & (codes == UNLIKE))]),
        answered=int(answered.sum()),
        agreeing=int((cases.called == cases.positive)[answered].sum()),
    )
