"""Corners exchanged between images: does the answer follow the corner, and where is the sign that it follows?

A corner of an image of the other class is put in place of the image's own. Any foreign corner may disturb a network,
so that a corner of another image of the same class is the control: only what the *class* of the donor changes counts.
The same is done with each cell along the border, and the strongest one names the marker. Lungs stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from pneumoscope.auditing.answers import AnswerStore, Change
from pneumoscope.auditing.effects import changes
from pneumoscope.auditing.images import AuditSet, choose_donors
from pneumoscope.auditing.perturbations import AuditImage, Mask, Pixels, dilate, exchange, resize
from pneumoscope.auditing.result import AuditTest, AuditVerdict
from pneumoscope.auditing.verdicts import judge_change
from pneumoscope.imaging.corners import corner_places
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import TAIL, estimate_proportion
from pneumoscope.stats.kernels import Ints

MARGIN = 0.05
"""Loss that a pass must surely stay under."""
PROOF = 0.01
"""Loss above which the answers follow the corners: the control has taken out all else."""
FOLLOWS = 0.60
"""Share of images whose score is higher with a donor of the primary class, above which they follow the donor."""
_WIDER = 1.5
"""By which the interval of the strongest of 16 cells is longer: 2.95 / 1.96 standard errors (Bonferroni)."""
RULE = (
    f"Fail: the loss is surely above {PROOF:.2f}, since the control leaves no other cause; or it is above {PROOF:.2f} "
    f"and, of the images whose score changes, surely more than {FOLLOWS:.0%} score higher with the place of an image "
    "of the primary class. "
    f"Pass: the loss is surely at most {MARGIN:.2f}. Else caution."
)
CHANGE, SHARE = "change of the AUROC", "share of images that follow the donor"
"""Effects of an exchange."""
_CELLS = 5
LOCATED_IMAGES = 200
"""Most images on which each cell of the border is exchanged."""

_DOWN = ("top", "upper", "middle", "lower", "bottom")
_ACROSS = ("left", "left of centre", "centre", "right of centre", "right")

_AROUND_LUNGS = 0.04

Places = list[tuple[slice, slice]]


def _cell(row: int, column: int) -> Callable[[tuple[int, int]], Places]:
    def places(shape: tuple[int, int]) -> Places:
        down = np.linspace(0, shape[0], _CELLS + 1).round().astype(int)
        across = np.linspace(0, shape[1], _CELLS + 1).round().astype(int)
        return [(slice(down[row], down[row + 1]), slice(across[column], across[column + 1]))]

    return places


BORDER_CELLS: Mapping[str, Callable[[tuple[int, int]], Places]] = MappingProxyType(
    {
        f"{_DOWN[row]}, {_ACROSS[column]}": _cell(row, column)
        for row in range(_CELLS)
        for column in range(_CELLS)
        if row in (0, _CELLS - 1) or column in (0, _CELLS - 1)
    }
)
"""Name -> the places of a cell of the border, for a shape [H, W]; sides as in the picture, not as in the patient."""


class _DonorEffect(NamedTuple):
    """What the class of a donor changes: the AUROC, and the share of images whose score follows that class."""

    change: Estimate
    following: Estimate


def exchange_corners(store: AnswerStore, images: AuditSet, *, seed: int, advance: Callable[[int], None]) -> AuditTest:
    """Judge what corners of the other class change, compared with corners of the same class.

    Args:
        store: Asks the model.
        images: The images.
        seed: Decides the donors.
        advance: Called with the number of answers.
    """
    found = _donor_effect(store, images, "corners", corner_places, np.arange(len(images)), seed, advance, TAIL)
    verdict, by_share = _judge(found, 1.0)
    effect_name, effect, chance = _effect_that_counts(found, by_share=by_share)
    sentence = f"With corners of the other class, not of the same class, the AUROC changes by {found.change}"
    return AuditTest(
        name="corners-exchanged",
        title="Corners exchanged between classes",
        question="Does the answer follow the corners of another image?",
        effect_name=effect_name,
        effect=effect,
        chance=chance,
        rule=RULE,
        verdict=verdict,
        sentence=f"{sentence}, and {_describe_share(found)}." if by_share else f"{sentence}.",
        images=len(images),
        groups=len(np.unique(images.group)),
        details={CHANGE: found.change, SHARE: found.following},
    )


def locate_marker(store: AnswerStore, images: AuditSet, *, seed: int, advance: Callable[[int], None]) -> AuditTest:
    """Return which cell of the border the answers follow most.

    Args:
        store: Asks the model.
        images: The images.
        seed: Decides images and donors.
        advance: Called with the number of answers.
    """
    places = _some_places(images, seed)
    by_cell = {
        name: _donor_effect(store, images, name, cell, places, seed, advance, TAIL / len(BORDER_CELLS))
        for name, cell in BORDER_CELLS.items()
    }
    strongest = max(by_cell, key=lambda name: by_cell[name].following.value or 0.0)
    found = by_cell[strongest]
    verdict, by_share = _judge(found, _WIDER)  # the strongest of sixteen is partly chance
    effect_name, effect, chance = _effect_that_counts(found, by_share=by_share)
    named = verdict == "fail"
    where = f"The answers follow a sign in the border cell '{strongest}' of the picture" if named else "No single cell"
    tail = (
        f": exchanged between classes it changes the AUROC by {found.change}."
        if named
        else " of the border stands out."
    )
    if by_share:
        tail = f": {_describe_share(found)}."
    return AuditTest(
        name="marker",
        title=f"Marker: {strongest}" if named else "Marker",
        question="Which cell of the border do the answers follow?",
        effect_name=effect_name,
        effect=effect,
        chance=chance,
        rule=f"{RULE} The strongest of 16 cells is judged, by an interval that allows for the choice.",
        verdict=verdict,
        sentence=where + tail,
        images=len(places),
        groups=len(np.unique(images.group[places])),
        details={name: each.change for name, each in by_cell.items()}
        | {f"{name}, share that follows the donor": each.following for name, each in by_cell.items()},
    )


def _lungs_of_both(own: AuditImage, other: AuditImage) -> Mask:
    """Return [H, W] of the image's own shape, True near the lungs of either: no disease may go with a cell."""
    height, width = own.pixels.shape
    inside = np.zeros((height, width), np.bool_)
    for image in (own, other):
        if image.lungs is not None:
            lungs = dilate(image.lungs, max(1, round(_AROUND_LUNGS * min(image.lungs.shape))))
            inside |= resize(lungs.astype(np.float32), height, width) > 0
    return inside


def _judge(found: _DonorEffect, wider: float) -> tuple[AuditVerdict, bool]:
    """Return ``fail`` where the loss is proved, else as `judge_change` has it; and whether the share proves it."""
    value, high = found.change.value, found.change.high
    if value is not None and high is not None:
        proved = value + wider * (high - value) < -PROOF
        follows = found.following.low is not None and found.following.low > FOLLOWS
        if proved or (follows and value < -PROOF):
            return "fail", not proved
    return judge_change(found.change, MARGIN, decisive=False), False


def _effect_that_counts(found: _DonorEffect, *, by_share: bool) -> tuple[str, Estimate, float]:
    """Return the name, the value and the chance value of the effect that the verdict rests on."""
    return (SHARE, found.following, 0.5) if by_share else (CHANGE, found.change, 0.0)


def _describe_share(found: _DonorEffect) -> str:
    """Return in words that the answers follow the donor, where the change of the AUROC alone does not prove it."""
    return (
        f"of the images whose score changes, a share of {found.following} score higher with the place of an image of "
        f"the primary class, surely more than {FOLLOWS:.2f}"
    )


def _some_places(images: AuditSet, seed: int) -> Ints:
    """Return at most so many images, as many of either class as there are."""
    rng = np.random.default_rng(seed)
    chosen = []
    for side in (images.positive, ~images.positive):
        here = np.flatnonzero(side)
        chosen.append(rng.permutation(here)[: LOCATED_IMAGES // 2])
    return np.sort(np.concatenate(chosen))


def _exchange_cell(own: AuditImage, other: AuditImage, cell: Callable[[tuple[int, int]], Places]) -> Pixels:
    """Return an image with a cell of another one, outside the lungs of either."""
    changed = exchange(own.pixels, other.pixels, cell(own.pixels.shape), cell(other.pixels.shape))
    return np.where(_lungs_of_both(own, other), own.pixels, changed)


def _donor_effect(
    store: AnswerStore,
    images: AuditSet,
    name: str,
    cell: Callable[[tuple[int, int]], Places],
    places: Ints,
    seed: int,
    advance: Callable[[int], None],
    tail: float,
) -> _DonorEffect:
    """Return what the class of the donor changes: donors of the other class against donors of the same class."""

    def from_donors(donors: Ints) -> Change:
        return lambda place: partial(_exchange_cell, images.images[place], images.images[donors[place]], cell)

    scores = {}
    for same_class in (True, False):
        donors = choose_donors(images, same_class=same_class, seed=seed)
        kind = "same" if same_class else "other"
        label = f"{name.replace(', ', '-').replace(' ', '-')}-{kind}-{seed}"
        scores[same_class] = store.scores(label, from_donors(donors), places, advance)
    positive, group = images.positive[places], images.group[places]
    pair = changes({"other": scores[False]}, scores[True], positive, group, seed)
    # For an image of the primary class, the donor of the same class is the one of the primary class.
    gain = np.where(positive, scores[True] - scores[False], scores[False] - scores[True])
    moved = gain != 0
    following = estimate_proportion(gain[moved] > 0, group[moved], what="set of images that change", tail=tail)
    return _DonorEffect(pair["other"].difference, following)
