"""Prediction sets: all labels that the model cannot rule out, right for a stated share of the images of each label.

Label-conditional ("Mondrian") split conformal prediction (Vovk, Lindsay & Fontana 2003; Sadinle, Lei & Wasserman, JASA
2019). For each label the probability of that label is ranked among calibration images of the label. A new image of the
label is exchangeable with them, so that its rank gives the guarantee, whatever the model. One random image of each
group enters, since images of one patient are not exchangeable with those of others. The guarantee holds where new
images of a label look like calibration images of that label: a change of prevalence does no harm, another machine may.

That is a promise per patient. Where patients with more images have the harder ones, a smaller share of all images is
covered (.92 to .93 for .95 in a simulation). A second threshold holds per image: groups are exchangeable, and the
images outside of the largest possible new group count as well (conformal risk control, Angelopoulos et al., ICLR 2024).

The thresholds come from the second half of the calibration part, which serves nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.special import ndtri

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.estimates import Estimate, PredictionSets, with_limits
from pneumoscope.stats.intervals import (
    FEWEST_GROUPS,
    TAIL,
    WILSON,
    describe_too_few,
    estimate_proportion,
    group_sums,
    modified_limits,
)
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.metrics import group_index

ALPHA = 0.05
METHOD = "label-conditional split conformal, one random image a group"


class SetCoverage(Frozen):
    """Coverage and size of prediction sets on some images."""

    alpha: float = Field(description="the sets aim to hold the true label of 1 - alpha of the images of each label")
    coverage: dict[str, Estimate] = Field(description="label -> share of its images whose set holds it")
    patient_coverage: dict[str, Estimate] = Field(
        default_factory=dict, description="label -> the same for one random image of each group: what the sets promise"
    )
    mean_size: float | None = Field(description="labels in a set, on average; None without images")
    sizes: tuple[int, ...] = Field(description="images whose set holds 0, 1, 2, ... labels")


def one_image_a_group(group: Ints, rng: np.random.Generator) -> Ints:
    """Return the index of one random image of each group."""
    order = rng.permutation(len(group))
    return np.asarray(order[np.unique(group[order], return_index=True)[1]], dtype=np.intp)


def threshold(own: ArrayLike, alpha: float) -> float:
    """Return the smallest probability of a label at which it belongs to a set.

    It is the k-th smallest of the n calibration probabilities, k = floor(alpha (n + 1)): a new one is under it with
    probability k / (n + 1) at most. With k = 0, that is fewer than 1 / alpha - 1 images, nothing can be ruled out, and
    the threshold is 0.

    Args:
        own: [n] the probability of the label on images of the label, one for each group.
        alpha: In 0..1.
    """
    ordered = np.sort(np.asarray(own, dtype=np.float64))
    rank = math.floor(alpha * (len(ordered) + 1) + 1e-9)  # .05 x 20 is 1, also in floating point
    if rank == 0:
        return 0.0
    # One float32 step lower, so that this image is still inside after its score has been written and read.
    return max(0.0, float(np.nextafter(np.float32(ordered[rank - 1]), np.float32(-1))))


def image_threshold(own: ArrayLike, groups: ArrayLike, alpha: float) -> float:
    """Return the smallest probability of a label at which it belongs to a set that holds per image.

    It is the largest threshold t for which the images under t, with all images of one more group of the largest size,
    are at most alpha of all images with that group. The groups, the new one among them, are exchangeable, so that the
    images of the new group that t leaves out are at most alpha of its images on average.

    Args:
        own: [n] the probability of the label on all images of the label.
        groups: [n].
        alpha: In 0..1.
    """
    scores = np.sort(np.asarray(own, dtype=np.float64))
    if not len(scores):
        return 0.0
    largest = float(np.bincount(group_index(groups)).max())
    rank = math.floor(alpha * len(scores) - (1 - alpha) * largest + 1e-9)  # images that may stay under
    if rank < 0:
        return 0.0
    return max(0.0, float(np.nextafter(np.float32(scores[rank]), np.float32(-1))))


def spread(n: int, alpha: float) -> tuple[float, float]:
    """Return the limits between which the true coverage of a threshold from n groups lies 95 times in 100.

    The guarantee is for the average over calibration sets; the coverage of one follows Beta(n + 1 - k, k) (Vovk, ACML
    2012).
    """
    from scipy.stats import beta

    rank = math.floor(alpha * (n + 1) + 1e-9)
    if rank == 0:
        return 1.0, 1.0
    low, high = beta.ppf([TAIL, 1 - TAIL], n + 1 - rank, rank)
    return float(low), float(high)


def fit(
    probability: ArrayLike,
    truth: ArrayLike,
    groups: ArrayLike,
    classes: Sequence[str],
    rng: np.random.Generator,
    alpha: float = ALPHA,
) -> PredictionSets:
    """Return the threshold of each label; 0 where there are too few groups to rule the label out.

    Args:
        probability: [N, C] calibrated probabilities of the second half of the calibration part.
        truth: [N] in 0..C-1.
        groups: [N].
        classes: C names.
        rng: Chooses the image of each group.
        alpha: The share of each label's images whose set may miss it.
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(truth, dtype=np.intp)
    group = group_index(groups)
    limits, counts, by_image = {}, {}, {}
    for k, name in enumerate(classes):
        images = np.flatnonzero(y == k)
        chosen = images[one_image_a_group(group[images], rng)]
        limits[name], counts[name] = threshold(p[chosen, k], alpha), len(chosen)
        by_image[name] = image_threshold(p[images, k], group[images], alpha)
    expected = {name: spread(n, alpha) for name, n in counts.items()}
    return PredictionSets(
        alpha=alpha,
        thresholds=limits,
        groups=counts,
        expected=expected,
        method=METHOD,
        image_thresholds=by_image,
    )


def members(probability: ArrayLike, thresholds: Sequence[float]) -> Bools:
    """Return the labels of each image's set [N, C]; an empty set means that the image is unusual for every label."""
    return np.asarray(np.asarray(probability, dtype=np.float64) >= np.asarray(thresholds), dtype=np.bool_)


def mean_of_groups(success: Bools, group: Ints) -> Estimate:
    """Return the share of True among one random image of each group, the mean of the groups' shares.

    The interval is Wilson's of as many images as there are groups.

    Args:
        success: [n].
        group: [n] integers.
    """
    if not len(success):
        return Estimate(value=None, note="no image in this class")
    hits, counts = group_sums(success, group)
    value = float((hits / counts).mean())
    if len(counts) < FEWEST_GROUPS:
        return Estimate(value=value, method=WILSON, note=describe_too_few(len(counts)))
    return with_limits(value, *modified_limits(value, len(counts), float(ndtri(1 - TAIL))), f"{WILSON}, of groups")


def measure(
    probability: Floats, truth: Ints, group: Ints, classes: Sequence[str], thresholds: Mapping[str, float], alpha: float
) -> SetCoverage:
    """Return coverage and size of sets with these thresholds; probability [N, C], truth [N], group [N] integers."""
    inside = members(probability, [thresholds[name] for name in classes])
    covered = inside[np.arange(len(truth)), truth]
    size: NDArray[np.intp] = inside.sum(axis=1)
    return SetCoverage(
        alpha=alpha,
        coverage={name: estimate_proportion(covered[truth == k], group[truth == k]) for k, name in enumerate(classes)},
        patient_coverage={
            name: mean_of_groups(covered[truth == k], group[truth == k]) for k, name in enumerate(classes)
        },
        mean_size=float(size.mean()) if len(size) else None,
        sizes=tuple(int(n) for n in np.bincount(size, minlength=len(classes) + 1)),
    )
