"""The figures by which models of several findings are compared: the mean AUROC first, and the AUROC of each finding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import Card
from pneumoscope.inference.evaluation import FindingsEvaluation
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.comparison.paired_findings import FindingScores
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.finding_averages import average_findings
from pneumoscope.stats.metrics import group_index


def scores_of(card: Card, probabilities: NDArray[np.float64], findings: Sequence[str]) -> FindingScores:
    """Return the answers of a model with its thresholds, in the order of some findings.

    Args:
        card: Of the model.
        probabilities: [N, C] in the order of ``findings``.
        findings: All of the card's, in any order.
    """
    thresholds = dict(zip(card.label_names, card.finding_points, strict=True))
    return FindingScores(probabilities, np.array([thresholds[name].threshold for name in findings]))


def measure_findings(
    scores: FindingScores,
    stated: NDArray[np.float32],
    groups: NDArray[np.str_],
    findings: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> dict[str, Estimate]:
    """Return the averages over the findings, and the AUROC of each.

    Args:
        scores: Of one model.
        stated: [N, C] 1 present, 0 absent, NaN unknown.
        groups: [N] name of each image's group.
        findings: C labels.
        seed: Of the bootstrap.
        resamples: Of the bootstrap; with 0 the averages have no intervals.

    Returns:
        Name -> figure: `stats.finding_averages.TITLES`, then ``FINDING/auroc``.
    """
    figures = average_findings(
        scores.probabilities, stated, scores.thresholds, groups, np.random.default_rng(seed), resamples
    )
    index = group_index(groups)
    for k, name in enumerate(findings):
        known = np.isfinite(stated[:, k])
        present = stated[known, k] == 1
        if present.any() and not present.all():
            figures[f"{name}/auroc"] = estimate_auroc(scores.probabilities[known, k], present, index[known])
        else:
            figures[f"{name}/auroc"] = Estimate(value=None, note="not stated both present and absent here")
    return figures


def figures_of(evaluation: FindingsEvaluation, findings: Sequence[str]) -> dict[str, Estimate]:
    """Return the same figures of an evaluation.

    Args:
        evaluation: Of a model of several findings.
        findings: Their order.
    """
    figures = dict(evaluation.averages)
    for name in findings:
        measured = evaluation.findings.get(name)
        figures[f"{name}/auroc"] = (
            measured.figures.by_class[name]["auroc"]
            if measured is not None
            else Estimate(value=None, note=evaluation.not_measured.get(name, ""))
        )
    return figures
