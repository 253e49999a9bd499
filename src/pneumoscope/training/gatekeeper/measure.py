"""How often a gatekeeper is right where it did not learn: at a source, a patient or an origin that was left out.

A frontal chest is measured by answers that learnt nothing of its source. A picture that must be refused is measured by
answers that learnt nothing of its patient or origin: ten parts, each left out once. The rules on colour and on
plausible lungs are applied as `bundle.screening` applies them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.gatekeeper import ANSWERS, GatekeeperRate
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.metrics import group_index
from pneumoscope.training.gatekeeper.data import SHAPE, Examples
from pneumoscope.training.gatekeeper.fit import Features, LinearAnswers, fit_answers

FOLDS = 10
FRONTAL, MIRRORED, CHILD, COLOUR = 0.5, 0.5, 0.5, 0.02
_OUTSIDE = 0.0005  # of real frontal chests: the share that each limit of plausible lungs leaves outside
_CUT = 0.01
_PLAUSIBLE = ("area", "paired", "balance", "across", "down")
_DRAWN = "phantoms"

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOut:
    """What answers said that had not learnt from what they were asked about; NaN where nobody asked.

    Args:
        frontal: [N] probability of an upright frontal chest.
        child: [N].
        mirrored: [M] of the upright chests that were also changed.
        changed: Change -> [M] probability of an upright frontal chest; of "mirrored": of a mirrored one.
        named: Change -> [M] bool, whether the likeliest answer was the change.
    """

    frontal: NDArray[np.float64]
    child: NDArray[np.float64]
    mirrored: NDArray[np.float64]
    changed: dict[str, NDArray[np.float64]]
    named: dict[str, Bools]


def limits_of_lungs(examples: Examples) -> tuple[dict[str, tuple[float, float]], float]:
    """Return the limits of plausible lungs, and the largest share of an edge that may lie in lung.

    Each limit leaves one in two thousand real frontal chests outside.

    Args:
        examples: Among them frontal chests.
    """
    shapes = examples.shapes[(examples.kinds == "frontal") & (examples.sources != _DRAWN)]
    limits = {
        name: (float(np.quantile(column, _OUTSIDE)), float(np.quantile(column, 1 - _OUTSIDE)))
        for name, column in zip(SHAPE, shapes.T, strict=True)
        if name in _PLAUSIBLE
    }
    limits |= {name: (limits[name][0], 1.0) for name in ("paired", "balance")}  # no lungs are too even
    return limits, float(np.quantile(shapes[:, SHAPE.index("cut")], 1 - _CUT))


def find_implausible(examples: Examples, limits: dict[str, tuple[float, float]]) -> Bools:
    """Return [N] whether the outlined lungs break a limit."""
    result = np.zeros(len(examples), np.bool_)
    for name, (low, high) in limits.items():
        column = examples.shapes[:, SHAPE.index(name)]
        result |= (column < low) | (column > high)
    return result


def ask_held_out(examples: Examples, features: Features, callbacks: Callbacks = SILENT, seed: int = 0) -> HeldOut:
    """Return what answers say of every example whose source, patient or origin they had not met.

    Args:
        examples: The N examples.
        features: Of them.
        callbacks: Receive progress.
        seed: Divides the origins and draws the frontal chests.
    """
    count, changed = len(examples), len(features.rows)
    result = HeldOut(
        np.full(count, np.nan),
        np.full(count, np.nan),
        np.full(changed, np.nan),
        {name: np.full(changed, np.nan) for name in features.changed},
        {name: np.zeros(changed, np.bool_) for name in features.changed},
    )
    rounds = [*_sources(examples), *_folds(examples, seed)]
    with callbacks.counting("rounds", len(rounds)) as advance:
        for learnt, asked in rounds:
            _fill(result, features, asked, fit_answers(examples, features, learnt, seed))
            advance(1)
    return result


def _sources(examples: Examples) -> Iterator[tuple[Bools, Bools]]:
    """Yield, for each source of frontal chests, what is learnt and what is asked."""
    frontal = examples.kinds == "frontal"
    for source in sorted(set(examples.sources[frontal])):
        asked = frontal & (examples.sources == source)
        # Other pictures of the same patients stay out too: laterals and films are made from the same sets.
        yield ~asked & ~(np.isin(examples.groups, examples.groups[asked]) & frontal), asked


def _folds(examples: Examples, seed: int) -> Iterator[tuple[Bools, Bools]]:
    """Yield parts of what must be refused, divided by patient or origin, each with all that is learnt for it."""
    refused = examples.kinds != "frontal"
    groups, sizes = np.unique(examples.groups[refused], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.argsort(-sizes[order], kind="stable")]
    totals = np.zeros(FOLDS)
    fold_of: dict[str, int] = {}
    for index in order:  # the largest origins first, each into the smallest part
        fold = int(totals.argmin())
        fold_of[str(groups[index])], totals[fold] = fold, totals[fold] + sizes[index]
    folds = np.array([fold_of.get(str(group), -1) for group in examples.groups])
    for fold in range(FOLDS):
        asked = refused & (folds == fold)
        if asked.any():
            yield ~np.isin(examples.groups, examples.groups[asked]), asked


def _fill(result: HeldOut, features: Features, asked: Bools, answers: LinearAnswers) -> None:
    names = list(ANSWERS)
    result.frontal[asked] = answers.probabilities(features.upright[asked])[:, 0]
    result.child[asked] = answers.child(features.upright[asked])
    chosen = asked[features.rows]
    if not chosen.any():
        return
    result.mirrored[chosen] = answers.mirrored(features.upright[features.rows[chosen]])
    for name, values in features.changed.items():
        if name == "mirrored":
            result.changed[name][chosen] = answers.mirrored(values[chosen])
        else:
            shares = answers.probabilities(values[chosen])
            result.changed[name][chosen] = shares[:, 0]
            result.named[name][chosen] = shares.argmax(1) == names.index(name)


def list_rates(
    examples: Examples, features: Features, held_out: HeldOut, implausible: Bools
) -> tuple[GatekeeperRate, ...]:
    """Return the rates of a card.

    Args:
        examples: The N examples.
        features: Of them.
        held_out: From `ask_held_out`.
        implausible: [N] whether the outlined lungs break a limit.
    """
    refused = (held_out.frontal < FRONTAL) | (examples.colours > COLOUR) | implausible
    frontal = (examples.kinds == "frontal") & (examples.sources != _DRAWN)
    rows: list[GatekeeperRate] = []

    def add(question: str, trained_on: str, measured_on: str, chosen: NDArray[np.intp], success: Bools) -> None:
        groups = group_index(examples.groups[chosen])
        rows.append(
            GatekeeperRate(
                question=question,
                trained_on=trained_on,
                measured_on=measured_on,
                images=len(chosen),
                groups=int(groups.max()) + 1,
                rate=estimate_proportion(success, groups, what="set of images"),
            )
        )

    others, parts = "the other sources", "other patients and origins"
    sources = sorted(set(examples.sources[frontal]))
    for source, chosen in [("all", np.flatnonzero(frontal)), *_each(sources, examples.sources, frontal)]:
        add("refused", others, f"{source}: frontal chests", chosen, refused[chosen])
    stranger = examples.kinds != "frontal"
    details = sorted(set(examples.details[stranger]))
    everything = ("all that is no upright frontal chest", np.flatnonzero(stranger))
    for detail, chosen in [everything, *_each(details, examples.details, stranger)]:
        add("refused", parts, detail, chosen, refused[chosen])
    for name, shares in held_out.changed.items():
        for source in ["all", *sources]:
            inside = np.isin(examples.sources[features.rows], sources if source == "all" else [source])
            chosen = features.rows[inside]
            if name == "mirrored":
                add("said to be mirrored", others, f"{source}: mirrored", chosen, shares[inside] > MIRRORED)
                upright = held_out.mirrored[inside] > MIRRORED
                add("said to be mirrored", others, f"{source}: as stored", chosen, upright)
            else:
                add("refused", others, f"{source}: {name}", chosen, shares[inside] < FRONTAL)
                add("named right", others, f"{source}: {name}", chosen, held_out.named[name][inside])
    for group, of in (("child", "children"), ("adult", "adults")):
        aged = frontal & (examples.age_groups == group)
        for source, chosen in _each(sources, examples.sources, aged):
            add("said to be a child", others, f"{source}: {of}", chosen, held_out.child[chosen] > CHILD)
    return tuple(rows)


def _each(names: Sequence[str], values: NDArray[np.str_], chosen: Bools) -> list[tuple[str, NDArray[np.intp]]]:
    """Return the rows of each name that has any."""
    pairs: Iterable[tuple[str, NDArray[np.intp]]] = (
        (str(name), np.flatnonzero(chosen & (values == name))) for name in names
    )
    return [(name, rows) for name, rows in pairs if len(rows)]
