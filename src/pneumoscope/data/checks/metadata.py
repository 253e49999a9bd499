"""How well the label follows from everything but the lungs.

That is the source, the view, the patient's age and sex, the size and depth of the image, its compression and its
borders. If they predict the label, a network can use them, and its figures say nothing of the disease. Mean grey is
reported beside them, but does not count against the data: a consolidated lung is brighter.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Clear, Finding
from pneumoscope.data.checks.label_probe import (
    PERMUTATIONS,
    Guess,
    Ints,
    cut_into_categories,
    draw_images,
    guess_labels,
)
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import mean_of_proportions

NAME = "label-from-metadata"
MATERIAL = 0.1
"""The share of the way from chance to certainty, at the interval's lower limit, from which a guess is a warning."""

P = 0.01
SEED = 0
GREY = "mean grey"
BORDER = 0.01
"""Share of width or height from which a dark edge counts as a border."""

AGES = (18, 40, 60)


def list_clues(context: CheckContext) -> dict[str, Ints]:
    """Return the facts of each image apart from its lungs: name -> [N] category, without facts that never vary."""
    table, facts = context.table, context.facts
    age = table.age.to_numpy(dtype=np.float64)
    width, height = (table[name].to_numpy(dtype=np.float64) for name in ("width", "height"))
    edges = [facts[side].to_numpy() > BORDER for side in ("left", "right", "top", "bottom")]
    border = sum(
        (edge.astype(np.intp) << place for place, edge in enumerate(edges)), facts.frame.to_numpy().astype(np.intp) << 4
    )
    facts_by_name = {
        "source": _codes(table.source),
        "view": _codes(table["view"]),
        "age band": np.where(np.isnan(age), len(AGES) + 1, np.searchsorted(AGES, age, side="right")).astype(np.intp),
        "sex": _codes(table.sex),
        "manufacturer": _codes(table.manufacturer),
        "size": cut_into_categories(np.sqrt(width * height)),
        "aspect": cut_into_categories(np.round(width / height, 3)),
        "bit depth": cut_into_categories(table.bits.to_numpy(dtype=np.float64)),
        "file format": _codes(facts.format),
        "JPEG quality": cut_into_categories(facts.quality.to_numpy(dtype=np.float64)),
        "borders": np.asarray(border, dtype=np.intp),
        GREY: cut_into_categories(facts["mean"].to_numpy(dtype=np.float64)),
    }
    return {name: values for name, values in facts_by_name.items() if len(np.unique(values)) > 1}


def _codes(column: pd.Series[str]) -> Ints:
    return np.asarray(pd.factorize(column.fillna("?"))[0], dtype=np.intp)


def guess_label_from_metadata(context: CheckContext) -> Finding | Clear:
    """Guess the label from everything but the lungs."""
    labels, index = np.unique(np.array(context.labels), return_inverse=True)
    groups = np.unique(context.table.group.to_numpy(dtype=str), return_inverse=True)[1]
    usable = [k for k in range(len(labels)) if len(np.unique(groups[index == k])) >= 2]
    rows = draw_images(index, groups, np.isin(index, usable) & (context.facts.error == "").to_numpy())
    if len(usable) < 2:
        return Clear(name=NAME, sentence="Fewer than two labels have two groups: nothing to compare.", applicable=False)
    varying = {name: values[rows] for name, values in list_clues(context).items() if len(np.unique(values[rows])) > 1}
    constant = "Source, view, age, sex, size, depth, compression and borders are the same for all images."
    if set(varying) <= {GREY}:
        return Clear(name=NAME, sentence=constant)
    truth = np.unique(index[rows], return_inverse=True)[1]
    guesses = guess_labels(varying, truth, groups[rows], np.random.default_rng(SEED), aside=(GREY,))
    numbers = {name: estimate_hits(guess, truth, groups[rows]) for name, guess in guesses.items()}
    return _verdict(guesses, numbers, 1 / len(usable), int(rows.sum()))


def estimate_hits(guess: Guess, truth: Ints, groups: Ints) -> Estimate:
    """Return the balanced share of hits with its interval, and p in the note."""
    members = [truth == k for k in range(int(truth.max()) + 1)]
    estimate = mean_of_proportions([guess.hits[rows] for rows in members], [groups[rows] for rows in members])
    p_words = (
        f"p {'≤' if guess.p <= 1 / (PERMUTATIONS + 1) else '='} {guess.p:.3f}, {PERMUTATIONS} permutations of groups"
    )
    return estimate.model_copy(update={"note": "; ".join(filter(None, (p_words, estimate.note)))})


def _verdict(
    guesses: Mapping[str, Guess], numbers: Mapping[str, Estimate], chance: float, images: int
) -> Finding | Clear:
    """Return the outcome for ``all`` and for each clue alone, but not for mean grey."""
    counted = [name for name in guesses if name != GREY]
    telling = [name for name in counted if guesses[name].p <= P]
    material = [name for name in telling if skill(numbers[name], chance) > MATERIAL]
    shown = {name: numbers[name] for name in sorted(numbers, key=lambda name: (name != "all", -guesses[name].balanced))}
    best = next((name for name in shown if name in counted and name != "all"), "all")
    sentence = (
        f"From source, size, compression, borders and what is known of the patient, without the lungs, the label of "
        f"{describe_estimate(numbers['all'])} of {images:,} images is guessed rightly (labels weigh the same; chance "
        f"{chance:.0%}); from the {best} alone {describe_estimate(numbers[best])}."
    )
    if not telling:
        high = numbers["all"].high
        less = ""
        if high is not None and high < chance:
            less = (
                "; fewer hits than by chance tell no label either: a guess that was learnt from other groups misses "
                "more often where there is nothing to learn"
            )
        return Clear(name=NAME, sentence=f"{sentence} No better than chance (p > {P:g}){less}.")
    if not material:
        return Finding(
            name=NAME,
            severity="note",
            sentence=f"{sentence} More than chance, but little.",
            what_to_do="Nothing; know it.",
            numbers=shown,
            chance=chance,
        )
    return Finding(
        name=NAME,
        severity="warn",
        confounds=True,
        sentence=f"{sentence} A network sees these too.",
        what_to_do=f"Balance the labels within each value of: {', '.join(material[:4])}; or report figures within one "
        "source. Training goes on, and the card says confounded.",
        numbers=shown,
        chance=chance,
    )


def describe_estimate(estimate: Estimate) -> str:
    """Return a share with its interval in per cent."""
    if estimate.value is None:
        return "none"
    interval = "" if estimate.low is None or estimate.high is None else f" [{estimate.low:.0%}, {estimate.high:.0%}]"
    return f"{estimate.value:.0%}{interval}"


def skill(estimate: Estimate, chance: float) -> float:
    """Return how far from chance (0) to certainty (1) the lower limit is; the figure itself without an interval."""
    value = estimate.low if estimate.low is not None else estimate.value
    return 0.0 if value is None else (value - chance) / (1 - chance)
