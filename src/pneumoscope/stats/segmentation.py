"""How well an outline agrees with a drawn one: overlap, and the distance between the two edges.

Dice 1945; Jaccard 1912; mean of the symmetric surface distances and their 95th percentile as in Heimann et al.,
Comparison and Evaluation of Methods for Liver Segmentation, IEEE TMI 2009.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pneumoscope.stats.estimates import Estimate, with_limits

LEAST_GROUPS = 10
RESAMPLES = 2000

Mask = NDArray[np.bool_]


def measure_dice(first: Mask, second: Mask) -> float:
    """Return twice the common area by the sum of both: 1 where two masks are equal (two empty ones are), else 0 to 1.

    Args:
        first: [H, W].
        second: [H, W].
    """
    areas = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / areas if areas else 1.0


def measure_iou(first: Mask, second: Mask) -> float:
    """Return the common area by the area of either (Jaccard); 1 for two empty masks.

    Args:
        first: [H, W].
        second: [H, W].
    """
    either = int((first | second).sum())
    return int((first & second).sum()) / either if either else 1.0


def measure_edge_distances(first: Mask, second: Mask, size: tuple[float, float]) -> tuple[float, float]:
    """Return the mean and the 95th percentile of the distances from each edge to the nearest point of the other.

    Args:
        first: [H, W].
        second: [H, W].
        size: Height and width of the whole picture, in the unit of the result.

    Returns:
        Both in the unit of ``size``; infinite where one mask alone is empty, 0 where both are.
    """
    if not first.any() or not second.any():
        distance = 0.0 if first.any() == second.any() else float("inf")
        return distance, distance
    spacing = (size[0] / first.shape[0], size[1] / first.shape[1])
    one, two = _edge(first), _edge(second)
    distances = np.concatenate([_distances_to(two, spacing)[one], _distances_to(one, spacing)[two]])
    return float(distances.mean()), float(np.quantile(distances, 0.95))


def _edge(mask: Mask) -> Mask:
    from scipy.ndimage import binary_erosion

    inside: Mask = binary_erosion(mask)
    return mask & ~inside


def _distances_to(edge: Mask, spacing: tuple[float, float]) -> NDArray[np.float64]:
    from scipy.ndimage import distance_transform_edt

    distances: NDArray[np.float64] = distance_transform_edt(~edge, sampling=spacing)
    return distances


def estimate_mean(values: NDArray[np.float64], groups: NDArray[np.str_], seed: int = 0) -> Estimate:
    """Return the mean over images with its interval by patient: BCa, patients drawn with all their images.

    Args:
        values: [N] finite.
        groups: [N] names of the patients.
        seed: Of the resampling.
    """
    _, rows = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(rows, values), np.bincount(rows)
    mean = float(values.mean())
    if len(sums) < LEAST_GROUPS:
        return Estimate(value=mean, note=f"interval not estimable: {len(sums)} patients, {LEAST_GROUPS} are needed")
    from scipy.stats import bootstrap

    result = bootstrap(
        (sums, counts),
        lambda total, count, axis: total.sum(axis) / count.sum(axis),
        paired=True,
        n_resamples=RESAMPLES,
        random_state=np.random.default_rng(seed),
    )
    low, high = (float(limit) for limit in result.confidence_interval)
    return with_limits(mean, low, high, "bootstrap over patients, BCa")
