"""Whether the model's embedding tells the source of an image within one label, and whether that can mislead it.

Within a label, the source says nothing about the disease. A logistic regression on the embedding, cross-fitted by
group, guesses it; chance comes from giving the sources of each group to another one, and a network with random weights
says what the picture shows anyhow. To know the source is a fault only where the source tells the label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.logistic import cross_fit, reduce_dimensions
from pneumoscope.auditing.perturbations import resize
from pneumoscope.auditing.result import AuditTest, AuditVerdict
from pneumoscope.auditing.verdicts import SOURCE_CLUE
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import FEWEST_GROUPS
from pneumoscope.stats.kernels import Floats, Ints

READABLE = 0.60
"""An AUROC of the source above this as a whole: the embedding knows where an image comes from."""
CONFOUNDED = 0.65
"""AUROC of the label from the source alone, above which the source is a clue."""
_COMPONENTS = 32
_PENALTY = 1.0
_FOLDS = 5
_THUMBNAIL = 16


@dataclass(frozen=True)
class _Family:
    """Images of one label from sources that each have enough groups of it."""

    places: Ints
    source: Ints
    group: Ints
    fold: Ints
    names: tuple[str, ...]


def judge_sources(
    images: AuditSet,
    source: Ints,
    names: tuple[str, ...],
    embedding: Floats,
    untrained: Floats | None,
    *,
    permutations: int,
    seed: int,
    advance: Callable[[int], None],
) -> AuditTest:
    """Judge whether the embedding tells the source within a label.

    Args:
        images: The images.
        source: [N] place of each image's source in ``names``.
        names: The sources.
        embedding: [N, D] of the model.
        untrained: [N, D] of the same graph with random weights; None where it could not be made.
        permutations: For the p-value.
        seed: Of folds and permutations.
        advance: Called with the number of permutations that are done.
    """
    rng = np.random.default_rng(seed)
    families = _families(images, source, names, rng)
    label_clue = clue_of_source(images, source) if len(names) > 1 else None
    if not families:
        return _build(Estimate(value=None, note="no label has two sources of 10 groups"), None, {}, label_clue, images)
    values = reduce_dimensions(embedding, _COMPONENTS)
    effect = _probe(values, families)
    chance = []
    for _ in range(permutations):
        chance.append(_probe(values, [_deal(family, rng) for family in families], limits=False).value or 0.5)
        advance(1)
    reached = sum(value >= (effect.value or 0.5) for value in chance)
    details = {"from the embedding": effect}
    if untrained is not None and np.isfinite(untrained).all():
        details["from an embedding with random weights"] = _probe(reduce_dimensions(untrained, _COMPONENTS), families)
    small = np.stack([resize(image.pixels, _THUMBNAIL, _THUMBNAIL).ravel() for image in images.images])
    details["from 16 x 16 pixels"] = _probe(reduce_dimensions(small.astype(np.float64), _COMPONENTS), families)
    return _build(effect, (1 + reached) / (1 + permutations), details, label_clue, images)


def clue_of_source(images: AuditSet, source: Ints) -> Estimate:
    """Return the AUROC with which the source alone tells the label: by the share of the label in each source."""
    count = int(source.max()) + 1
    share = np.bincount(source, images.positive, count) / np.maximum(np.bincount(source, minlength=count), 1)
    return estimate_auroc(share[source], images.positive, images.group)


def _families(images: AuditSet, source: Ints, names: tuple[str, ...], rng: np.random.Generator) -> list[_Family]:
    families = []
    for side in (images.positive, ~images.positive):
        enough = [
            number
            for number in range(len(names))
            if len(np.unique(images.group[side & (source == number)])) >= FEWEST_GROUPS
        ]
        if len(enough) < 2:
            continue
        places = np.flatnonzero(side & np.isin(source, enough))
        group = np.unique(images.group[places], return_inverse=True)[1].reshape(-1)
        fold_of_group = rng.permutation(np.arange(int(group.max()) + 1) % _FOLDS)
        own = np.searchsorted(enough, source[places])
        families.append(_Family(places, own, group, fold_of_group[group], tuple(names[number] for number in enough)))
    return families


def _deal(family: _Family, rng: np.random.Generator) -> _Family:
    """Return the family with the source of each group given to another one."""
    first = np.unique(family.group, return_index=True)[1]
    dealt = rng.permutation(family.source[first])[family.group]
    return _Family(family.places, dealt, family.group, family.fold, family.names)


def _probe(values: Floats, families: list[_Family], *, limits: bool = True) -> Estimate:
    """Return the mean AUROC of each source against the others, over sources and labels.

    Its limits are the mean limits, which hold even if all of them err together.
    """
    parts = []
    for family in families:
        numbers = range(1 if len(family.names) == 2 else len(family.names))
        for number in numbers:
            target = family.source == number
            score = cross_fit(values[family.places], target, family.fold, _PENALTY)
            parts.append(estimate_auroc(score, target, family.group))
            if not limits:
                parts[-1] = Estimate(value=parts[-1].value)
    known = [part for part in parts if part.value is not None]
    if not known:
        return Estimate(value=None, note="no source could be told from another one")
    value = float(np.mean([part.value for part in known if part.value is not None]))
    lows = [part.low for part in known if part.low is not None]
    highs = [part.high for part in known if part.high is not None]
    if len(lows) < len(known) or len(highs) < len(known):
        return Estimate(value=value, note=known[0].note)
    method = f"mean over sources and labels; {known[0].method}"
    return Estimate(value=value, low=float(np.mean(lows)), high=float(np.mean(highs)), method=method)


def _verdict(effect: Estimate, p: float | None, clue: Estimate | None) -> AuditVerdict:
    if effect.low is None or effect.high is None or p is None:
        return "not identifiable"
    if p > 0.05 or effect.high <= READABLE:
        return "pass"
    if effect.low > READABLE and clue is not None and clue.low is not None and clue.low > CONFOUNDED:
        return "fail"
    return "caution"


def _build(
    effect: Estimate, p: float | None, details: dict[str, Estimate], clue: Estimate | None, images: AuditSet
) -> AuditTest:
    verdict = _verdict(effect, p, clue)
    untrained = details.get("from an embedding with random weights")
    against = "" if untrained is None else f", that with random weights {untrained}"
    if clue is None:
        sentence = "All images come from one source, so that it cannot be probed whether the model knows the source."
    elif effect.value is None:
        sentence = (
            "No label has two sources with 10 groups each, so that its source cannot be probed within a label. The "
            f"source alone tells the label with an AUROC of {clue}."
        )
    else:
        sentence = (
            f"Within a label, the embedding tells the source with an AUROC of {effect}{against}; the source alone "
            f"tells the label with {clue}."
        )
    return AuditTest(
        name="source-probe",
        title="Source in the embedding",
        question="Does the model know where an image comes from, and could that give it the label?",
        effect_name="AUROC of the source within a label",
        effect=effect,
        chance=0.5,
        rule=(
            f"Pass: p over permutations above .05, or surely at most {READABLE:.2f}. Fail: surely above "
            f"{READABLE:.2f}, and the source alone tells the label with surely more than {CONFOUNDED:.2f}. "
            "Else caution."
        ),
        verdict=verdict,
        sentence=sentence,
        images=len(images),
        groups=len(np.unique(images.group)),
        p_value=p,
        details=details if clue is None else details | {SOURCE_CLUE: clue},
    )
