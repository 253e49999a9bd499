"""An opening of test images by an evaluation: the fact that goes into a bundle's evidence."""

from __future__ import annotations

from collections.abc import Iterable

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.evidence import Opening
from pneumoscope.data.ledger import KnownOpening
from pneumoscope.data.opened_images import OpenedImages
from pneumoscope.inference.evaluation import AnyEvaluation, FindingsEvaluation
from pneumoscope.stats.estimates import Estimate


def headline(evaluation: AnyEvaluation, card: Card) -> dict[str, Estimate]:
    """Return the few figures of an evaluation that reports always quote, by their names in a card."""
    if isinstance(evaluation, FindingsEvaluation):
        areas = {f"{name}/auroc": one.figures.by_class[name]["auroc"] for name, one in evaluation.findings.items()}
        return {"macro/auroc": evaluation.averages["macro/auroc"]} | areas
    point, figures = card.default_operating_point, evaluation.figures.flat()
    wanted = ("accuracy", "balanced_accuracy", f"{card.primary}/auroc", f"{point}/sensitivity", f"{point}/specificity")
    return {key: figures[key] for key in wanted}


def build_opening(
    evaluation: AnyEvaluation, card: Card, images: OpenedImages, command: str, number: str = "", claim: str = ""
) -> Opening:
    """Return the fact that an evaluation opened test images.

    Args:
        evaluation: The evaluation.
        card: The card of the bundle.
        images: The test images among the measured ones.
        command: The command line.
        number: The opening's number in the ledger.
        claim: What was to be shown, as the ledger has it.
    """
    return Opening(
        bundle=evaluation.identity,
        time=evaluation.created,
        part=evaluation.part,
        data=evaluation.data,
        images=len(images),
        earlier_openings=evaluation.earlier_openings or 0,
        group_kind=evaluation.group_kind,
        headline=headline(evaluation, card),
        command=command,
        opening=number,
        claim=claim,
        pixels=tuple(sorted(images.pixels)),
        fingerprints=tuple(sorted(images.fingerprints)),
    )


def known_openings(openings: Iterable[Opening]) -> list[KnownOpening]:
    """Return the openings in a bundle's evidence as a ledger counts them.

    Evidence that was written before it named its images has none, and overlaps with nothing (`unnamed_openings`).
    """
    return [
        KnownOpening(
            opening.opening,
            OpenedImages.of(pixels=opening.pixels, fingerprints=opening.fingerprints),
            opening.time,
            opening.bundle,
            opening.command,
            opening.claim,
        )
        for opening in openings
    ]


def unnamed_openings(openings: Iterable[Opening]) -> int:
    """Return the number of openings in a bundle's evidence that do not say which images they opened."""
    return sum(not opening.pixels for opening in openings)
