"""The loss of a multi-label task against the formulas of its sources, and that unknown findings count nowhere."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pneumoscope.recipes.settings import Loss  # noqa: E402
from pneumoscope.training.loop.finding_loss import finding_loss, finding_metrics, positive_weights  # noqa: E402

NAN = float("nan")
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [-0.5, 3.0, -4.0]])
TARGET = torch.tensor([[1.0, 0.0, NAN], [0.0, NAN, 1.0]])
KNOWN = [(2.0, 1), (-1.0, 0), (-0.5, 0), (-4.0, 1)]
"""Logit and target of the pairs that are stated."""


def sigmoid(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))


def test_binary_cross_entropy_is_the_mean_over_what_is_stated() -> None:
    expected = np.mean([-np.log(sigmoid(z) if t else 1 - sigmoid(z)) for z, t in KNOWN])
    assert float(finding_loss(Loss(kind="bce"), LOGITS, TARGET, None)) == pytest.approx(expected, rel=1e-6)


def test_focal_and_asymmetric_losses_are_those_of_their_papers() -> None:
    focal = []
    for z, t in KNOWN:
        p = sigmoid(z) if t else 1 - sigmoid(z)
        focal.append(-((1 - p) ** 1.5) * np.log(p))
    loss = finding_loss(Loss(kind="focal", focal_gamma=1.5), LOGITS, TARGET, None)
    assert float(loss) == pytest.approx(np.mean(focal), rel=1e-6)
    asymmetric = []
    for z, t in KNOWN:
        p = sigmoid(z)
        shifted = max(p - 0.05, 0)
        asymmetric.append(-np.log(p) if t else -(shifted**4) * np.log(1 - shifted))
    loss = finding_loss(Loss(kind="asymmetric"), LOGITS, TARGET, None)
    assert float(loss) == pytest.approx(np.mean(asymmetric), rel=1e-5)


def test_positive_weights_are_absent_over_present() -> None:
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, NAN]])
    assert positive_weights(Loss(kind="bce"), target) is None
    balanced = positive_weights(Loss(kind="bce", class_weights="balanced"), target)
    assert balanced is not None
    assert balanced.tolist() == [3.0, 2.0]
    weighted = finding_loss(Loss(kind="bce"), torch.zeros(4, 2), target, balanced)
    assert float(weighted) == pytest.approx(np.log(2) * (3 + 3 + 2 + 2) / 7)


@pytest.mark.parametrize("kind", ["bce", "focal", "asymmetric"])
def test_what_is_unknown_has_no_gradient_and_an_empty_batch_no_loss(kind: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    recipe = Loss.model_validate({"kind": kind})
    finding_loss(recipe, logits, TARGET, None).backward()
    assert logits.grad is not None
    assert (logits.grad[TARGET.isnan()] == 0).all()
    assert (logits.grad[~TARGET.isnan()] != 0).all()
    assert float(finding_loss(recipe, LOGITS, torch.full((2, 3), NAN), None)) == 0


def test_the_figures_of_an_epoch_leave_out_findings_without_both_answers() -> None:
    logits = torch.tensor([[2.0, 1.0], [1.0, -1.0], [-1.0, 2.0], [3.0, 0.0]])
    target = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, NAN], [1.0, 1.0]])
    figures = finding_metrics(logits, target)
    assert figures["auroc"] == 1.0  # the second finding is never absent
    assert figures["balanced_accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert figures["accuracy"] == pytest.approx(5 / 7)
