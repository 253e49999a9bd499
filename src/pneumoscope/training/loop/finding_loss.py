"""The loss and the epoch's figures of a multi-label task; a finding of which nothing is stated counts nowhere."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from pneumoscope.recipes.settings import Loss
from pneumoscope.stats import metrics


def positive_weights(recipe: Loss, target: Tensor) -> Tensor | None:
    """Return the weight of each present finding against an absent one [C]; None if all weigh the same.

    Args:
        recipe: ``balanced``: the absent images of a finding over its present ones.
        target: [N, C] of the training part: 1 present, 0 absent, NaN unknown.
    """
    if recipe.class_weights == "none":
        return None
    if recipe.class_weights == "balanced":
        return (target == 0).sum(0) / (target == 1).sum(0).clamp_min(1)
    return torch.tensor([float(value) for value in recipe.class_weights])


def finding_loss(recipe: Loss, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Return the mean loss over the findings that are stated, in float32; 0 where none is.

    ``bce`` is binary cross-entropy; ``focal`` after Lin et al., ICCV 2017; ``asymmetric`` after Ridnik et al., ICCV
    2021, with the present findings' exponent 0.

    Args:
        recipe: Kind and constants.
        logits: [N, C].
        target: [N, C] 1 present, 0 absent, NaN unknown.
        weight: [C] of the present findings.
    """
    logits, stated = logits.float(), target.isfinite()
    present = torch.where(stated, target, torch.zeros_like(target)).float()
    if recipe.kind == "asymmetric":
        shifted = (torch.sigmoid(logits) - recipe.clip).clamp_min(0)
        absent = shifted**recipe.negative_gamma * torch.log1p(-shifted.clamp_max(1 - 1e-7))
        each = -torch.where(present > 0, F.logsigmoid(logits), absent)
    else:
        smooth = present * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
        each = F.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
        if recipe.kind == "focal":
            p = torch.sigmoid(logits)
            each = each * torch.where(present > 0, 1 - p, p) ** recipe.focal_gamma
    if weight is not None:
        each = torch.where(present > 0, each * weight, each)
    return torch.where(stated, each, torch.zeros_like(each)).sum() / stated.sum().clamp_min(1)


def finding_metrics(logits: Tensor, target: Tensor) -> dict[str, float]:
    """Return loss, accuracy, balanced accuracy and AUROC over the findings that are stated.

    Balanced accuracy (at probability .5) and AUROC are the means over the findings that are stated both present and
    absent; nan if there is none.

    Args:
        logits: [N, C].
        target: [N, C] 1 present, 0 absent, NaN unknown.
    """
    z, t = logits.float().numpy(), target.numpy()
    stated = np.isfinite(t)
    recalls, areas = [], []
    for score, truth, known in zip(z.T, t.T, stated.T, strict=True):
        present, score = truth[known] == 1, score[known]
        if present.any() and not present.all():
            recalls.append((np.mean(score[present] >= 0) + np.mean(score[~present] < 0)) / 2)
            areas.append(metrics.auroc(score, present))
    decided = (z >= 0) == (t == 1)
    return {
        "loss": float(finding_loss(Loss(kind="bce"), logits, target, None)),
        "accuracy": float(decided[stated].mean()) if stated.any() else float("nan"),
        "balanced_accuracy": float(np.mean(recalls)) if recalls else float("nan"),
        "auroc": float(np.mean(areas)) if areas else float("nan"),
    }
