"""Whether a picture is an upright frontal chest radiograph, by the graph that ships with the package, without torch.

The graph's one input is ``image``, as that of a classifier. Its outputs are ``probabilities`` [N, K] of what the
picture shows, ``mirrored`` [N] and ``child`` [N]. The card says how often each answer was right on images that it did
not learn from. `bundle.screening` decides what follows from the answers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pneumoscope.bundle.card import SourceLicence
from pneumoscope.bundle.companion import INSTALL_AGAIN, CompanionCard, check_outputs, is_of_package, read_companion
from pneumoscope.bundle.lung_shape import LungShape
from pneumoscope.core.arguments import check_arguments
from pneumoscope.core.errors import BundleError
from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.estimates import Estimate

OUTPUTS = ("probabilities", "mirrored", "child")

ANSWERS = {
    "frontal": "an upright frontal chest radiograph",
    "lateral": "a lateral chest radiograph",
    "other": "no chest radiograph, or a spoilt one",
    "inverted": "a frontal chest radiograph with black and white exchanged",
    "turned-left": "a frontal chest radiograph that is turned by 90 degrees to the left",
    "upside-down": "a frontal chest radiograph that is upside down",
    "turned-right": "a frontal chest radiograph that is turned by 90 degrees to the right",
}
"""What a picture may show, in the order of the graph's probabilities."""

BUILTIN_GATEKEEPER = Path(__file__).parents[1] / "companions" / "gatekeeper"
"""The folder of the graph that ships with the package."""


class GatekeeperRate(Frozen):
    """How often an answer of the gatekeeper was given on some images."""

    question: str = Field(description="what was counted, in words")
    trained_on: str = Field(description="what the measured graph learnt from, in words")
    measured_on: str = Field(description="the images that were measured, in words")
    images: int
    groups: int = Field(description="patients, or origins where there are no patients")
    rate: Estimate


class Thresholds(Frozen):
    """From where on an answer counts."""

    frontal: float = Field(description="least probability of an upright frontal chest; less is refused")
    mirrored: float = Field(description="least probability at which a mirrored chest is warned of")
    colour: float = Field(description="largest share of a picture that may have a colour")
    lungs: dict[str, tuple[float, float]] = Field(
        description="measure of the outlined lungs (see `bundle.lung_shape`) -> least and largest plausible value"
    )
    cut: float = Field(description="largest share of an edge of the picture in lung; more is warned of")


class GatekeeperCard(CompanionCard):
    """The description of a gatekeeper."""

    answers: dict[str, str] = Field(description="answer -> its meaning, in the order of the graph's probabilities")
    side: int = Field(description="side of the square that the graph resizes to, in pixels")
    thresholds: Thresholds
    lungs: str = Field(description="identity of the lungs graph that the limits of plausible lungs hold for")
    images: dict[str, int] = Field(description="images that it learnt from, by source and kind")
    measured: tuple[GatekeeperRate, ...]
    licences: tuple[SourceLicence, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GatekeeperAnswer:
    """What the graph says of one picture.

    Attributes:
        probabilities: Answer -> probability, sum 1.
        mirrored: Probability that left and right are exchanged, if it is a frontal chest.
        child: Probability that it is a child's, if it is a frontal chest. It is measured, and no decision uses it: of
            another hospital's adults it calls many children.
    """

    probabilities: dict[str, float]
    mirrored: float
    child: float

    @property
    def likeliest(self) -> str:
        """The answer with the largest probability."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


class Gatekeeper:
    """A loaded gatekeeper. Safe to share between threads.

    Attributes:
        card: Its description.
        identity: SHA-256 of the card, which holds the hash of the graph.
    """

    def __init__(self, card: GatekeeperCard, identity: str, session: Any) -> None:
        self.card = card
        self.identity = identity
        self._session = session

    def __repr__(self) -> str:
        return f"<Gatekeeper {self.card.name}: {', '.join(self.card.answers)}; {self.identity[:12]}>"

    def answer(self, pixels: NDArray[np.float32]) -> GatekeeperAnswer:
        """Return what the graph says of one picture.

        Args:
            pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head, any size.

        Returns:
            The probabilities of what the picture may show.
        """
        batch = np.ascontiguousarray(pixels, np.float32)[None, None]  # [H, W] -> [1, 1, H, W]
        probabilities, mirrored, child = self._session.run(list(OUTPUTS), {"image": batch})
        return GatekeeperAnswer(
            dict(zip(self.card.answers, map(float, probabilities[0]), strict=True)), float(mirrored[0]), float(child[0])
        )


@check_arguments
def load_gatekeeper(folder: str | Path = BUILTIN_GATEKEEPER) -> Gatekeeper:
    """Load and verify a gatekeeper.

    Args:
        folder: The folder that holds ``card.json`` and ``model.onnx``; the one of the package by default.

    Returns:
        The gatekeeper, which can be shared between threads.

    Raises:
        MissingBundleError: A file of it is missing.
        BundleError: It was altered, its card is of another schema, or names other answers or measures than this program
            knows.

    Example:
        >>> ps.load_gatekeeper().answer(ps.read("study.dcm").pixels).likeliest
    """
    card, identity, session = read_companion(Path(folder), GatekeeperCard, "gatekeeper")
    way_out = INSTALL_AGAIN if is_of_package(Path(folder)) else "Train it again."
    for place, names, known in (
        ("answers", tuple(card.answers), tuple(ANSWERS)),
        ("thresholds.lungs", tuple(sorted(card.thresholds.lungs)), tuple(field.name for field in fields(LungShape))),
    ):
        if (place == "answers" and names != known) or not set(names) <= set(known):
            problem = f"{place} names {', '.join(names) or 'nothing'}; this program knows {', '.join(known)}."
            raise BundleError(str(Path(folder) / "card.json"), problem, way_out)
    check_outputs(Path(folder), session, OUTPUTS[0], tuple(card.answers), "answers")
    return Gatekeeper(card, identity, session)


@cache
def builtin_gatekeeper() -> Gatekeeper:
    """Return the gatekeeper of the package; a process loads it once."""
    return load_gatekeeper()
