"""Calibrate: everything that a bundle takes from the calibration part, and from the features of the training part.

Order matters. The calibration part's first half sets temperature, operating points, bands and the refusal threshold.
The second half, which they have not seen, sets the thresholds of the prediction sets. Validation, which chose the
epoch, sets nothing here, and the test part is not opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.labels import absent_name
from pneumoscope.export.graph import FeatureSpace, fit_feature_space, forward_part
from pneumoscope.stats import conformal
from pneumoscope.stats.calibration import Scaling, fit_scaling, score_bands, select_first_half
from pneumoscope.stats.estimates import LikelihoodBand, OperatingPoint, PredictionSets
from pneumoscope.stats.prevalence import likelihood_bands
from pneumoscope.stats.thresholds import operating_points
from pneumoscope.training.loop.fit import FittedRun
from pneumoscope.training.machine import choose_device

OOD_QUANTILE = 0.995
"""Share of calibration images whose out-of-distribution score does not exceed the refusal threshold."""


@dataclass(frozen=True)
class ScoreCalibration:
    """What the calibration part sets for one answer: that of a model, or of one finding of a multi-label model.

    Args:
        scaling: Temperature and class bias on the logits.
        class_prior: [C] share of each class in the calibration part; of a finding, of present and absent.
        operating_points: Thresholds on the primary class's probability.
        score_bands: Observed rate of the primary class in each band of scores.
        likelihood_ratios: Of the primary class in each band of scores.
        prediction_sets: Thresholds of the prediction sets, from the second half.
    """

    scaling: Scaling
    class_prior: tuple[float, ...]
    operating_points: tuple[OperatingPoint, ...]
    score_bands: tuple[dict[str, float], ...]
    likelihood_ratios: tuple[LikelihoodBand, ...]
    prediction_sets: PredictionSets


@dataclass(frozen=True)
class Calibration:
    """What the calibration part sets.

    Args:
        scores: One; of a multi-label model one for each finding, in the order of its classes.
        space: Where the training images lie, for the out-of-distribution score.
        ood_threshold: A study whose out-of-distribution score exceeds this is refused.
        ood_images: Images that chose it.
        ood_kept: Of them at or under it.
    """

    scores: tuple[ScoreCalibration, ...]
    space: FeatureSpace
    ood_threshold: float
    ood_images: int
    ood_kept: int


def calibrate(fitted: FittedRun, *, device: str = "auto", callbacks: Callbacks = SILENT) -> Calibration:
    """Calibrate the kept weights of a training.

    Args:
        fitted: A finished training.
        device: Where the forward passes run: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        callbacks: Receive the progress.
    """
    task, chosen_device = fitted.plan.recipe.task, choose_device(device)
    groups = fitted.plan.manifest.part("calibration").table["group"].to_numpy()
    half = select_first_half(groups)
    with callbacks.counting("calibrating"):
        _, train_features = forward_part(fitted.model, fitted.parts["train"], chosen_device)
        logits, features = forward_part(fitted.model, fitted.parts["calibration"], chosen_device)
        known, truth = fitted.parts["train"].targets, fitted.parts["calibration"].targets
        seed = fitted.plan.recipe.training.seed
        if task.multilabel:
            space = fit_feature_space(train_features, np.zeros(len(known), np.int64), 1)
            scores = tuple(
                _calibrate_finding(name, logits[:, k], truth[:, k], groups, [seed, 1, k])
                for k, name in enumerate(task.classes)
            )
        else:
            space = fit_feature_space(train_features, known.astype(np.int64), len(task.classes))
            scores = (_calibrate_score(task.classes, logits, truth.astype(np.int64), groups, [seed, 1]),)
        ood = _distance(features[half], space)
        ood_threshold = float(np.quantile(ood, OOD_QUANTILE, method="higher"))
        return Calibration(
            scores=scores,
            space=space,
            ood_threshold=ood_threshold,
            ood_images=len(ood),
            ood_kept=int((ood <= ood_threshold).sum()),
        )


def _calibrate_finding(
    name: str, score: NDArray[np.float32], stated: NDArray[np.float32], groups: NDArray[np.str_], seed: list[int]
) -> ScoreCalibration:
    """Calibrate one finding on the images that state it, as a binary model whose logits are (score, 0)."""
    known = np.isfinite(stated)
    truth = np.where(stated[known] == 1, 0, 1)
    logits = np.stack([score[known], np.zeros_like(score[known])], axis=1)
    return _calibrate_score((name, absent_name(name)), logits, truth, groups[known], seed)


def _calibrate_score(
    classes: Sequence[str],
    logits: NDArray[np.float32],
    truth: NDArray[np.int64],
    groups: NDArray[np.str_],
    seed: list[int],
) -> ScoreCalibration:
    half = select_first_half(groups)
    scaling = fit_scaling(logits[half], truth[half])
    primary, positive = scaling.apply(logits[half])[:, 0], truth[half] == 0
    return ScoreCalibration(
        scaling=scaling,
        class_prior=tuple(float(share) for share in np.bincount(truth, minlength=len(classes)) / len(truth)),
        operating_points=operating_points(primary, positive, groups[half]),
        score_bands=score_bands(primary, positive, groups[half]),
        likelihood_ratios=likelihood_bands(primary, positive, groups[half]),
        prediction_sets=conformal.fit(
            scaling.apply(logits[~half]), truth[~half], groups[~half], classes, np.random.default_rng(seed)
        ),
    )


def _distance(features: NDArray[np.float32], space: FeatureSpace) -> NDArray[np.float32]:
    """Return the out-of-distribution score [N] of pooled features [N, D], as the graph computes it."""
    embedding = (features - space.centre.numpy()) @ space.directions.numpy()
    distance: NDArray[np.float32] = ((embedding[:, None] - space.means.numpy()) ** 2).mean(2).min(1)
    return distance
