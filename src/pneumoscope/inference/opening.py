"""An opening of test images by an evaluation: the fact that goes into a bundle's evidence."""

from __future__ import annotations

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.evidence import Opening
from pneumoscope.inference.evaluate import Evaluation
from pneumoscope.stats.estimates import Estimate


def headline(evaluation: Evaluation, card: Card) -> dict[str, Estimate]:
    """Return the few figures of an evaluation that reports always quote, by their names in a card."""
    point, figures = card.default_operating_point, evaluation.figures.flat()
    wanted = ("accuracy", "balanced_accuracy", f"{card.primary}/auroc", f"{point}/sensitivity", f"{point}/specificity")
    return {key: figures[key] for key in wanted}


def build_opening(evaluation: Evaluation, card: Card, opened: int, command: str) -> Opening:
    """Return the fact that an evaluation opened test images.

    Args:
        evaluation: The evaluation.
        card: The card of the bundle.
        opened: Number of test images among the measured ones.
        command: The command line.
    """
    return Opening(
        bundle=evaluation.identity,
        time=evaluation.created,
        part=evaluation.part,
        data=evaluation.data,
        images=opened,
        earlier_openings=evaluation.earlier_openings or 0,
        group_kind=evaluation.group_kind,
        headline=headline(evaluation, card),
        command=command,
    )
