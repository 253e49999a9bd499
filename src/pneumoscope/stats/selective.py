"""The benefit of refusing: the error among the answered images against the share that is answered.

Images are refused in the order of a score, the least trusted first: the model's own confidence (the largest
probability) or the out-of-distribution score. A model that refuses well has a curve that falls as it answers less. The
area under it (AURC) is the mean, over all images, of the error among those that are trusted at least as much
(Geifman, Uziel & El-Yaniv, ICLR 2019); smaller is better, and a random order has the plain error.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from pydantic import Field

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.bootstrap import Resampling, bootstrap
from pneumoscope.stats.design import wider
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.kernels import Bools, Floats, Ints

SHARES = (1.0, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


class AnsweredShare(Frozen):
    """The error where only the most trusted images are answered."""

    share: float = Field(description="share of the images that are answered; ties are answered together")
    images: int
    limit: float = Field(description="lowest trust that is answered")
    risk: Estimate = Field(description="share of wrong decisions among them")


class RiskCoverage(Frozen):
    """Risk against coverage for one order of refusal."""

    by: str = Field(description="confidence: the largest probability; ood: minus the out-of-distribution score")
    points: tuple[AnsweredShare, ...] = Field(description="from all images to half of them")
    area: Estimate = Field(description="AURC")
    best_area: float = Field(description="of an order that refuses all errors first")


def aurc(trust: Floats, wrong: Bools, weight: Floats) -> Floats:
    """Return the area under the risk-coverage curve [B]; trust [N], wrong [N], weight [B, N].

    For each image the risk among all that are trusted at least as much; images that tie are answered together.
    """
    order = np.argsort(-trust, kind="stable")
    ordered = trust[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    inside = np.add.reduceat(weight[:, order], starts, axis=1)
    errors = np.add.reduceat(weight[:, order] * wrong[order], starts, axis=1)
    answered = np.cumsum(inside, axis=1)
    risk = np.divide(np.cumsum(errors, axis=1), answered, out=np.zeros_like(answered), where=answered > 0)
    total = inside.sum(axis=1)
    area = (inside * risk).sum(axis=1)
    return np.asarray(np.divide(area, total, out=np.full(len(weight), np.nan), where=total > 0), dtype=np.float64)


def risk_coverage(by: str, trust: Floats, wrong: Bools, group: Ints, samples: Sequence[Resampling]) -> RiskCoverage:
    """Return the curve.

    Args:
        by: Name of the order.
        trust: [N] the larger, the later an image is refused.
        wrong: [N] whether its decision is wrong.
        group: [N] integers.
        samples: For the interval of the area, one for each design that it must hold for; without any there is none.
    """
    ones = np.ones((1, len(trust)))
    falling = np.sort(trust)[::-1]
    points = []
    for share in SHARES:
        limit = float(falling[max(0, round(share * len(trust)) - 1)])
        answered_images = trust >= limit
        points.append(
            AnsweredShare(
                share=float(answered_images.mean()),
                images=int(answered_images.sum()),
                limit=limit,
                risk=estimate_proportion(wrong[answered_images], group[answered_images], what="share of the images"),
            )
        )
    if not samples:
        note = "interval left out: no resamples were asked for"
        area = Estimate(value=float(aurc(trust, wrong, ones)[0]), note=note)
    else:
        areas = [bootstrap(partial(aurc, trust, wrong), sample) for sample in samples]
        area = wider(areas, [sample.design for sample in samples])
    # The best order has no ties among images: a rank within right and wrong ones each.
    best = float(aurc(-(wrong * len(trust) + np.arange(len(trust))).astype(np.float64), wrong, ones)[0])
    return RiskCoverage(by=by, points=tuple(points), area=area, best_area=best)
