"""Whether the heatmap lies in the lungs, and its hottest place where readers drew a box.

Each is held against chance and against a network that has learnt nothing. The second is the pointing game (Zhang et
al., Top-down Neural Attention by Excitation Backprop, ECCV 2016), without a tolerance.
"""

from __future__ import annotations

import numpy as np

from pneumoscope.auditing.effects import ratio_of_sums
from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.observations import Observations
from pneumoscope.auditing.result import AuditTest, AuditVerdict
from pneumoscope.auditing.verdicts import has_limits
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.kernels import Bools

LEAST_RATIO = 1.25
"""Heat in the lungs divided by the lungs' share of the picture, of a model that looks at them."""


def judge_heatmaps(images: AuditSet, learnt: Observations, untrained: Observations | None) -> AuditTest:
    """Judge how much of the primary label's heat lies in the lungs, on images of that label.

    Args:
        images: The images.
        learnt: Of the model.
        untrained: Of the same graph with random weights; None where it could not be made.
    """
    used = images.positive & np.isfinite(learnt.mass)
    ratio = ratio_of_sums(learnt.mass[used], learnt.area[used], images.group[used])
    details = {"heat in the lungs over chance": ratio}
    against: Estimate | None = None
    if untrained is not None:
        both = used & np.isfinite(untrained.mass)
        details["the same with random weights"] = ratio_of_sums(
            untrained.mass[both], untrained.area[both], images.group[both]
        )
        against = ratio_of_sums(learnt.mass[both], untrained.mass[both], images.group[both])
        details["heat in the lungs over that with random weights"] = against
    verdict = _verdict(ratio, against)
    control = "" if against is None else f"; over a network with random weights {against}"
    return AuditTest(
        name="heatmap",
        title="Heatmap in the lungs",
        question="Does the heatmap lie in the lungs more than chance would put it there?",
        effect_name="heat in the lungs over chance",
        effect=ratio,
        chance=1.0,
        rule=(
            f"Pass: surely at least {LEAST_RATIO} times chance, and surely more than with random weights. Else caution:"
            " a heatmap is a weak witness and fails no model alone."
        ),
        verdict=verdict,
        sentence=f"The lungs hold {ratio} times the heat that chance would put there{control}.",
        images=int(used.sum()),
        groups=len(np.unique(images.group[used])),
        details=details,
    )


def judge_pointing(images: AuditSet, learnt: Observations, untrained: Observations | None) -> AuditTest:
    """Judge how often the hottest cell of the primary label lies in a reader's box, on images of that label.

    Args:
        images: The images.
        learnt: Of the model.
        untrained: Of the same graph with random weights; None where it could not be made.
    """
    used = images.positive & np.isfinite(learnt.hit)
    hits = _share_of_hits(learnt, used, images)
    chance = float(np.mean(learnt.boxed[used])) if used.any() else 0.0
    details = {"images that are hit": hits, "share of the picture inside boxes": Estimate(value=chance)}
    control, floor = "", chance
    if untrained is not None:
        there = _share_of_hits(untrained, used & np.isfinite(untrained.hit), images)
        details["images that are hit with random weights"] = there
        control, floor = f"; with random weights {there}", max(chance, there.value or 0)
    verdict: AuditVerdict = "not identifiable"
    if has_limits(hits):
        verdict = "pass" if hits.low is not None and hits.low > floor else "caution"
    return AuditTest(
        name="pointing",
        title="Heatmap in the readers' boxes",
        question="Is the hottest place of the heatmap inside a box that a reader drew around the finding?",
        effect_name="images whose hottest place lies in a box",
        effect=hits,
        chance=chance,
        rule="Pass: surely above the boxes' share of the picture, and above random weights' hits. Else caution.",
        verdict=verdict,
        sentence=f"The hottest place lies in a box in {hits} of the images; the boxes cover {chance:.2f}{control}.",
        images=int(used.sum()),
        groups=len(np.unique(images.group[used])),
        details=details,
    )


def _share_of_hits(observations: Observations, used: Bools, images: AuditSet) -> Estimate:
    return estimate_proportion(observations.hit[used] > 0, images.group[used], what="set of boxes")


def _verdict(ratio: Estimate, against: Estimate | None) -> AuditVerdict:
    if ratio.low is None:
        return "not identifiable"
    better = against is None or (against.low is not None and against.low > 1)
    return "pass" if ratio.low >= LEAST_RATIO and better else "caution"
