"""The meaning of a threshold in words that need no statistics: how many of 100 images of either kind were above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pneumoscope.core.labels import display_name
from pneumoscope.stats.estimates import Estimate

ENOUGH_GROUPS = 100
"""Fewer groups in a class than this: a warning. With 100, a sensitivity of .9 is known to 6 points either way."""

ENOUGH_FOR_SHARE = 30
"""Fewer images than this: a count and no share. Where all of 30 keep a limit, one other in nine may not (Wilson)."""

SCORES_UNKNOWN = "calibration images too few, or too alike in score, to say what a score means"
"""Said in place of a band's rate where one band holds every score."""

NOT_YOURS = "not measured at your site"


def of_100(share: float) -> str:
    """Return a share as a whole number of 100; rounding never makes it look certain."""
    percent = 100 * share
    if 0 < percent < 0.5:
        return "fewer than 1"
    if 99.5 < percent < 100:
        return "more than 99"
    return f"{percent:.0f}"


def describe_share(count: int, images: int) -> str:
    """Return a count with the share and its interval; below `ENOUGH_FOR_SHARE` images the count alone.

    Args:
        count: Images of which something holds.
        images: All images, each of which counts as independent.

    Returns:
        Such as "294 of 295 (99.7% [98.1%, 99.9%])", or "6 of 6, too few for a share".
    """
    if images < ENOUGH_FOR_SHARE:
        return f"{count} of {images}, too few for a share"
    from pneumoscope.stats.intervals import estimate_proportion  # SciPy: a prediction that is not refused needs none

    share = estimate_proportion(np.arange(images) < count, np.arange(images), what="set of images")
    if share.value is None or share.low is None or share.high is None:
        return f"{count} of {images}"
    return f"{count} of {images} ({share.value:.1%} [{share.low:.1%}, {share.high:.1%}])"


def _of_100_with_interval(estimate: Estimate) -> str:
    if estimate.value is None:
        return "an unknown number"
    if estimate.low is None or estimate.high is None:
        return f"{of_100(estimate.value)} of 100 [interval not estimable]"
    return f"{of_100(estimate.value)} of 100 [{of_100(estimate.low)} to {of_100(estimate.high)}]"


def _join(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def above_threshold(
    where: str,
    sources: Sequence[str],
    primary: str,
    counts: tuple[int, int],
    sensitivity: Estimate,
    specificity: Estimate,
    *,
    ending: str = f"; {NOT_YOURS}",
) -> str:
    """Return the effect of a threshold on some images, as a sentence.

    Args:
        where: The images, such as "the development data (validation part)".
        sources: Names of their sources.
        primary: The label.
        counts: Images of that label, and other images.
        sensitivity: At the threshold, on these images.
        specificity: At the threshold, on the other images.
        ending: The end of the sentence; empty where the images may be the reader's own.
    """
    false_alarms = Estimate(
        value=None if specificity.value is None else 1 - specificity.value,
        low=None if specificity.high is None else 1 - specificity.high,
        high=None if specificity.low is None else 1 - specificity.low,
    )
    return (
        f"In {where}, {sum(counts)} images of {_join(sources)}, {_of_100_with_interval(sensitivity)} images labelled "
        f"{display_name(primary)} (of {counts[0]}) and {_of_100_with_interval(false_alarms)} others (of {counts[1]}) "
        f"were above this threshold{ending}."
    )


def few_groups(class_groups: Mapping[str, int], where: str) -> tuple[str, ...]:
    """Return a warning that names the classes with too few groups; empty where there is no such class."""
    few = [f"{display_name(name)} ({count})" for name, count in class_groups.items() if count < ENOUGH_GROUPS]
    if not few:
        return ()
    return (f"Fewer than {ENOUGH_GROUPS} groups in {where} of {_join(few)}: the figures of these classes are rough.",)
