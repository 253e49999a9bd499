"""How well the label follows from pixels that show no disease: corners and borders, and the sharpness of the image.

A letter burnt in on one label, upscaling or local equalisation is invisible in the metadata and plain to a network. The
coarse look at 16 by 16 pixels is measured beside them. Disease shows in it (opacity against normal: an AUROC of .85 to
.90 on RSNA's images), so that it counts only where it is nearly certain: mirrored images, or children against adults.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Clear, Finding
from pneumoscope.data.checks.label_probe import Guess, Ints, draw_images
from pneumoscope.data.checks.metadata import P, describe_estimate, estimate_hits, skill
from pneumoscope.data.checks.pixel_facts import LOOKS, split_vectors
from pneumoscope.data.checks.pixel_probe import alone, guess_from_vectors
from pneumoscope.stats.estimates import Estimate

NAME = "label-from-pixels"
FRAME, SHARPNESS, COARSE = LOOKS

MATERIAL = 0.5
"""The share of the way from chance to certainty, at the interval's lower limit, from which a guess is a warning."""

CERTAIN = 0.85
"""The same for the coarse look, in which disease shows, too."""

FEWEST = 20
"""Images a label from which the probe says anything."""

SEED = 0


def guess_label(context: CheckContext) -> Finding | Clear:
    """Guess the label from pixels that show no disease."""
    labels, index = np.unique(np.array(context.labels), return_inverse=True)
    groups = np.unique(context.table.group.to_numpy(dtype=str), return_inverse=True)[1]
    readable = (context.facts.error == "").to_numpy()
    usable = [k for k in range(len(labels)) if len(np.unique(groups[readable & (index == k)])) >= FEWEST]
    if context.vectors is None or len(usable) < 2:
        return Clear(name=NAME, sentence=f"Fewer than two labels have {FEWEST} groups.", applicable=False)
    rows = draw_images(index, groups, readable & np.isin(index, usable))
    truth = np.unique(index[rows], return_inverse=True)[1]
    dense = np.unique(groups[rows], return_inverse=True)[1]
    vectors = split_vectors(context.vectors[rows])
    guesses = guess_from_vectors(vectors, truth, dense, np.random.default_rng(SEED), single=(FRAME,), aside=(COARSE,))
    numbers, material = judge(guesses, truth, dense)
    telling = [name for name in guesses if guesses[name].p <= P]
    return _describe(numbers, telling, material, 1 / len(usable), int(rows.sum()))


def judge(guesses: Mapping[str, Guess], truth: Ints, groups: Ints) -> tuple[dict[str, Estimate], list[str]]:
    """Return the share of hits of each vector with its interval, and the vectors that are a warning.

    Args:
        guesses: By vector.
        truth: [N] the label, in 0..K-1.
        groups: [N].
    """
    chance = 1 / (int(truth.max()) + 1)
    numbers = {name: estimate_hits(guess, truth, groups) for name, guess in guesses.items()}
    bars = {name: CERTAIN if name == COARSE else MATERIAL for name in guesses}
    material = [name for name in guesses if guesses[name].p <= P and skill(numbers[name], chance) > bars[name]]
    return numbers, material


def _describe(
    numbers: Mapping[str, Estimate], telling: list[str], material: list[str], chance: float, images: int
) -> Finding | Clear:
    figures = ", ".join(f"from {name} {describe_estimate(estimate)}" for name, estimate in numbers.items())
    sentence = (
        f"The label of {images:,} images is guessed rightly {figures} (labels weigh the same; chance {chance:.0%})."
    )
    if not material:
        more = "No more than a disease or its usual exposure may leave there." if telling else f"p > {P:g}."
        return Clear(name=NAME, sentence=f"{sentence} {more}")
    ways = {
        FRAME: "a letter, a text or a border that one label has",
        alone(FRAME): "a letter, a text or a border that one label has",
        SHARPNESS: "resizing, sharpening or local equalisation of one label",
        COARSE: "mirrored images, or children against adults",
    }
    clues = "; ".join(dict.fromkeys(ways[name] for name in material))
    return Finding(
        name=NAME,
        severity="warn",
        confounds=True,
        sentence=f"{sentence} A network sees these too.",
        what_to_do=f"Look for {clues}. Training goes on, and the card says confounded.",
        numbers=dict(numbers),
        chance=chance,
    )
