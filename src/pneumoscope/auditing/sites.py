"""The AUROC to expect at a site that a model has not seen, from its AUROC at several sites.

A hospital's AUROC is, on the logit scale, normal around a mean with a standard deviation between sites (random-effects
meta-analysis). With few sites that deviation is hardly known, and the usual interval is either far too short (normal
quantiles) or endless (Student's with one degree of freedom). So both have weak priors: the mean N(0, 2^2), the
deviation half-normal with scale 1 (Röver et al., Research Synthesis Methods 2021), and the interval is that of the
posterior prediction, by sums over a grid of deviations. With many sites it is Higgins's (JRSS A 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.result import AuditTest, AuditVerdict, SitePrediction
from pneumoscope.auditing.verdicts import INTERNAL_DROP, USEFUL, has_limits
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.source_table import read_table
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.comparison.unpaired import subtract
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats, Ints

LEVEL = 0.95
LEAST_SITES = 3
"""Sites with both classes under which a prediction rests mostly on the prior."""
_MEAN_SCALE, _SPREAD_SCALE = 2.0, 1.0
_EDGE = 0.999
"""An AUROC of 1 has no logit; it counts as this."""
_QUANTILE = 1.959964


def predict_new_site(values: Sequence[float], errors: Sequence[float], level: float = LEVEL) -> tuple[float, ...]:
    """Return the limits and the median of a new site's AUROC, and the median deviation between sites.

    Args:
        values: [k] logit of the AUROC at each site.
        errors: [k] its standard error, on the same scale.
        level: Of the interval.

    Returns:
        Low, high, median, 0 to 1, and the deviation on the logit scale.
    """
    spread = np.linspace(0.01, 4, 200)
    seen, error = np.asarray(values, np.float64)[:, None], np.asarray(errors, np.float64)[:, None]
    variance = spread**2 + error**2  # [k, 200]
    # Given the spread, the mean is normal: its prior and k observations of it.
    precision = 1 / _MEAN_SCALE**2 + (1 / variance).sum(axis=0)
    mean = (seen / variance).sum(axis=0) / precision
    log = -0.5 * (spread / _SPREAD_SCALE) ** 2 - 0.5 * np.log(precision) + 0.5 * precision * mean**2
    log -= 0.5 * (np.log(variance) + seen**2 / variance).sum(axis=0)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    points = np.linspace(-14, 14, 561)
    distribution = ndtr((points[:, None] - mean) / np.sqrt(spread**2 + 1 / precision)) @ weight
    tail = (1 - level) / 2
    low, middle, high = (float(expit(np.interp(share, distribution, points))) for share in (tail, 0.5, 1 - tail))
    return low, high, middle, float(np.interp(0.5, np.cumsum(weight), spread))


def logit_scale(estimate: Estimate) -> tuple[float, float]:
    """Return the logit of an AUROC and its standard error, from the wider side of its interval.

    Args:
        estimate: With limits.
    """
    if estimate.value is None or estimate.low is None or estimate.high is None:
        raise ValueError("the AUROC has no interval")
    low, value, high = (
        float(logit(np.clip(x, 1 - _EDGE, _EDGE))) for x in (estimate.low, estimate.value, estimate.high)
    )
    return value, max(value - low, high - value, 1e-3) / _QUANTILE


def predict_from(sites: Mapping[str, Estimate], how: str) -> SitePrediction | None:
    """Return what to expect at a new site; None where no site can be measured.

    Args:
        sites: Site -> AUROC there; those without an interval (too few images of a class) do not count.
        how: How these figures were measured, in words; it begins the method.
    """
    usable = {name: estimate for name, estimate in sites.items() if has_limits(estimate)}
    if not usable:
        return None
    scaled = [logit_scale(estimate) for estimate in usable.values()]
    low, high, middle, spread = predict_new_site([value for value, _ in scaled], [error for _, error in scaled])
    count = format_count(len(usable), "site")
    few = (
        ""
        if len(usable) >= LEAST_SITES
        else f" Only {count} can be measured, so that the interval rests mostly on how much hospitals differ elsewhere."
    )
    chance = " Chance (0.5) is not ruled out." if low <= 0.5 else ""
    return SitePrediction(
        low=low,
        high=high,
        middle=middle,
        level=LEVEL,
        sites=usable,
        without_both_classes=tuple(name for name in sites if name not in usable),
        spread=spread,
        method=(
            f"{how} Random effects on the logit scale, with weak priors: mean N(0, {_MEAN_SCALE:g}²), deviation "
            f"between sites half-normal with scale {_SPREAD_SCALE:g}."
        ),
        sentence=(
            f"At a hospital that the model has not seen, expect an AUROC between {low:.2f} and {high:.2f} "
            f"({LEVEL:.0%} prediction interval from {count}).{chance}{few}"
        ),
    )


def judge_new_site(prediction: SitePrediction | None, images: int, groups: int) -> AuditTest:
    """Judge what to expect at a new site.

    Args:
        prediction: The interval; None where no site can be measured.
        images: That it rests on.
        groups: That it rests on.
    """
    nothing = "No site has 10 groups of each class, so that nothing can be said about another one."
    effect, sentence = Estimate(value=None, note=nothing), nothing
    if prediction is not None:
        low, middle, high = prediction.low, prediction.middle, prediction.high
        effect = Estimate(value=middle, low=low, high=high, method="posterior prediction, random effects")
        sentence = prediction.sentence
    return AuditTest(
        name="new-site",
        title="A site not seen",
        question="Which AUROC is to be expected at another hospital?",
        effect_name="AUROC at a new site, prediction interval",
        effect=effect,
        chance=0.5,
        rule=(
            f"Not identifiable: fewer than {LEAST_SITES} sites with 10 groups of each class. Fail: surely under "
            f"{USEFUL:.2f}. Pass: surely at least {USEFUL:.2f}. Else caution."
        ),
        verdict="not identifiable" if prediction is None else _verdict(prediction),
        sentence=sentence,
        images=images,
        groups=groups,
        details={} if prediction is None else {f"site {name}": each for name, each in prediction.sites.items()},
    )


def _verdict(prediction: SitePrediction) -> AuditVerdict:
    if prediction.high < USEFUL and len(prediction.sites) >= LEAST_SITES:
        return "fail"
    if len(prediction.sites) < LEAST_SITES:
        return "not identifiable"
    return "pass" if prediction.low >= USEFUL else "caution"


def describe_sites(site: Sequence[str], positive: Bools) -> dict[str, tuple[int, int]]:
    """Return for each site how many of its images are of the primary class, and how many are not."""
    names = np.asarray(site, dtype=str)
    return {
        str(name): (int(positive[names == name].sum()), int((~positive[names == name]).sum()))
        for name in np.unique(names)
    }


def by_site(score: Floats, positive: Bools, group: Ints, site: Sequence[str]) -> dict[str, Estimate]:
    """Return the AUROC of the images of each site.

    Args:
        score: [N].
        positive: [N].
        group: [N].
        site: [N] names.
    """
    names = np.asarray(site, dtype=str)
    return {
        str(name): estimate_auroc(score[names == name], positive[names == name], group[names == name])
        for name in np.unique(names)
    }


def judge_elsewhere(there: Estimate, here: Estimate, images: AuditSet) -> AuditTest:
    """Judge the AUROC on an external set.

    Args:
        there: On that set.
        here: On the images of the audit.
        images: Of that set.
    """
    drop = subtract(there, here, "limits of both, combined (Zou & Donner 2008)")
    verdict: AuditVerdict = "caution"
    if there.low is None or there.high is None:
        verdict = "not identifiable"
    elif there.high < USEFUL or (drop.high is not None and drop.high < -INTERNAL_DROP):
        verdict = "fail"
    elif there.low >= USEFUL and drop.low is not None and drop.low >= -INTERNAL_DROP:
        verdict = "pass"
    return AuditTest(
        name="external",
        title="Another set",
        question="Does it hold on images of a site that it has not seen?",
        effect_name="AUROC there",
        effect=there,
        chance=0.5,
        rule=(
            f"Fail: surely under {USEFUL:.2f}, or surely more than {INTERNAL_DROP:.2f} lower than here. Pass: surely "
            f"at least {USEFUL:.2f} and surely within {INTERNAL_DROP:.2f}. Else caution."
        ),
        verdict=verdict,
        sentence=f"On {len(images)} images of another set the AUROC is {there}; here it is {here}.",
        images=len(images),
        groups=len(np.unique(images.group)),
        details={"there minus here": drop},
    )


def sites_of(rows: Manifest, origins: Mapping[str, str]) -> NDArray[np.str_]:
    """Return [N] the site of each row: its stated origin, else its source.

    Args:
        rows: The images.
        origins: File name, with or without ending -> origin.
    """
    pairs = zip(rows.table["source"], rows.table["image"], strict=True)
    return np.array([_origin_of(image, origins) or str(source) for source, image in pairs], dtype=str)


def has_origin(rows: Manifest, origins: Mapping[str, str]) -> Bools:
    """Return [N] whether the origin of an image is stated.

    Args:
        rows: The images.
        origins: File name, with or without ending -> origin.
    """
    return np.array([_origin_of(image, origins) is not None for image in rows.table["image"]], dtype=np.bool_)


def _origin_of(image: str, origins: Mapping[str, str]) -> str | None:
    return origins.get(Path(image).name) or origins.get(Path(image).stem)


def read_origins(path: Path) -> dict[str, str]:
    """Return file name -> origin of a CSV file with the columns ``file`` and ``origin`` or ``origin_url``.

    Raises:
        UsageError: It is no table, or has no such columns.
    """
    try:
        table = read_table(path)
    except ManifestError as error:
        raise UsageError(
            str(path),
            f"is no table of origins: {error.problem}",
            "Save it as CSV in UTF-8, with 'file' and 'origin' in its first line and one row for each image.",
        ) from error
    names = {name.casefold() for name in table.columns}
    column = next((name for name in ("origin", "origin_url") if name in names), None)
    if "file" not in names or column is None:
        raise UsageError(str(path), "has no columns 'file' and 'origin'.", "Write them in its first line.")
    pairs = zip(table.cells("file", "file"), table.cells(column, column), strict=True)
    return {file: origin for file, origin in pairs if file and origin}
