"""Outlines of lungs and heart by the graph that ships with the package, with ONNX Runtime and without torch.

The graph's one input is ``image``, as that of a classifier; its one output is ``masks`` [N, K, S, S], the probability
of each structure on a square. The card says who drew the outlines it learnt, and how far its own agree with others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pneumoscope.bundle.card import SourceLicence
from pneumoscope.bundle.companion import CompanionCard, check_outputs, read_companion
from pneumoscope.bundle.inputs import as_radiograph
from pneumoscope.bundle.lung_parts import remove_specks
from pneumoscope.core.arguments import check_arguments
from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.registry import suggestion
from pneumoscope.imaging.border import NO_BORDER, Border
from pneumoscope.imaging.proportions import check_no_strip
from pneumoscope.imaging.read import Radiograph
from pneumoscope.imaging.read import read as read_radiograph
from pneumoscope.stats.estimates import Estimate

OUTPUT = "masks"

BUILTIN_LUNGS = Path(__file__).parents[1] / "companions" / "lungs"
"""The folder of the graph that ships with the package."""


class LungFigures(Frozen):
    """How far outlines of a graph agree with drawn ones of one set."""

    trained_on: str = Field(description="the sets that the measured graph learnt from, in words")
    measured_on: str = Field(description="the images that were measured, in words")
    structure: str
    images: int
    patients: int
    figures: dict[str, Estimate] = Field(
        description="dice, iou; edge-mean and edge-95, distances between the edges as shares of the picture's side"
    )


class LungCard(CompanionCard):
    """The description of a lungs graph."""

    structures: dict[str, str] = Field(description="structure -> its definition, in the order of the graph's output")
    side: int = Field(description="side of the square that the graph resizes to, in pixels")
    images: dict[str, int] = Field(description="images that it learnt from, by source")
    measured: tuple[LungFigures, ...]
    licences: tuple[SourceLicence, ...]
    limits: tuple[str, ...]


class Width(NamedTuple):
    """The width of a structure, as shares of the picture, 0 to 1."""

    start: float
    """Left edge, as a share of the picture's width."""
    end: float
    """Right edge."""
    row: float
    """Where the structure reaches farthest from side to side, as a share of the picture's height."""


@dataclass(frozen=True, repr=False)
class LungOutlines:
    """Where a graph sees the structures of one radiograph.

    Args:
        probabilities: [K, S, S] float32 on the graph's square, which is stretched over all that lies inside the border.
        structures: The K names.
        shape: Height and width of the picture, in pixels.
        border: The flat border of the picture, which was cut off before the graph looked. All that is asked of these
            outlines is about the whole picture.
    """

    probabilities: NDArray[np.float32]
    structures: tuple[str, ...]
    shape: tuple[int, int]
    border: Border = NO_BORDER

    def __repr__(self) -> str:
        areas = ", ".join(f"{name} {self.area(name):.0%}" for name in self.structures)
        return f"<LungOutlines of {self.shape[0]} x {self.shape[1]} pixels: {areas}>"

    @property
    def inside(self) -> LungOutlines:
        """The same outlines as those of the picture without its border."""
        if self.border == NO_BORDER:
            return self
        top, bottom, left, right = self.border
        height, width = self.shape
        return LungOutlines(self.probabilities, self.structures, (height - top - bottom, width - left - right))

    def square(self, structure: str) -> NDArray[np.bool_]:
        """Return where the graph sees a structure on its square, with specks and holes.

        The gatekeeper judges by it whether lungs are plausible: specks speak against them. All that is shown or
        measured uses `select_parts`.

        Args:
            structure: One of ``structures``.

        Returns:
            [S, S] bool, True inside.

        Raises:
            UsageError: The graph does not outline it.
        """
        inside: NDArray[np.bool_] = self.probability(structure) >= 0.5
        return inside

    def select_parts(self, structure: str) -> NDArray[np.bool_]:
        """Return the mask of a structure on the graph's square, without specks and with its holes filled.

        Args:
            structure: One of ``structures``.

        Returns:
            [S, S] bool, True inside (see `bundle.lung_parts`).

        Raises:
            UsageError: The graph does not outline it.
        """
        return remove_specks(self.square(structure))

    def mask(self, structure: str) -> NDArray[np.bool_]:
        """Return the mask of a structure in the size of the picture, without specks and with its holes filled.

        Args:
            structure: One of ``structures``.

        Returns:
            [H, W] bool, True inside.

        Raises:
            UsageError: The graph does not outline it.
        """
        from PIL import Image

        raw, parts = self.probability(structure), self.select_parts(structure)
        # A removed speck is far outside and a filled hole far inside, so that no edge of either comes back.
        tidy = np.where(parts == (raw >= 0.5), raw, parts.astype(np.float32))
        square = Image.fromarray(tidy)
        height, width = self.shape
        inside: NDArray[np.bool_] = np.asarray(square.resize((width, height), Image.Resampling.BILINEAR)) >= 0.5
        return inside

    def area(self, structure: str) -> float:
        """Return how much of the picture a structure covers.

        Args:
            structure: One of ``structures``.

        Returns:
            A share, 0 to 1.
        """
        return float(self.select_parts(structure).mean())

    def probability(self, structure: str) -> NDArray[np.float32]:
        """Return the probability of a structure on a square that is stretched over the whole picture.

        Args:
            structure: One of ``structures``.

        Returns:
            [S, S] float32 in 0..1.

        Raises:
            UsageError: The graph does not outline it.
        """
        if structure not in self.structures:
            raise UsageError(
                f"structure {structure!r}",
                f"is not outlined by this graph.{suggestion(structure, self.structures)}",
                f"Structures: {', '.join(self.structures)}.",
            )
        values: NDArray[np.float32] = self.probabilities[self.structures.index(structure)]
        return values if self.border == NO_BORDER else self.border.spread(values, self.shape, values.shape)

    @property
    def cardiothoracic_widths(self) -> tuple[Width, Width] | None:
        """The largest width of the heart, and that from outer edge to outer edge of the lungs; None without both."""
        if not {"heart", "lungs"} <= set(self.structures):
            return None
        heart, lungs = self.select_parts("heart"), self.select_parts("lungs")
        return (_width_of(heart), _width_of(lungs)) if heart.any() and lungs.any() else None

    @property
    def cardiothoracic_ratio(self) -> float | None:
        """The heart's width divided by the lungs', see `cardiothoracic_widths`; None without both.

        Danzer, American Journal of the Medical Sciences 1919, with the lungs' outer edges in place of the ribs', so
        that it is a little larger than a reader's. It holds for PA views alone: AP magnifies the heart.
        """
        widths = self.cardiothoracic_widths
        return None if widths is None else (widths[0].end - widths[0].start) / (widths[1].end - widths[1].start)


def _width_of(mask: NDArray[np.bool_]) -> Width:
    """Return the width of a mask with any pixel set, at the row where it reaches farthest from side to side."""
    side, columns = len(mask), np.flatnonzero(mask.any(0))
    # First and last column of each row; of an empty row they are the wrong way round, and reach nowhere.
    first = np.where(mask.any(1), mask.argmax(1), side)
    row = int(np.argmax(side - mask[:, ::-1].argmax(1) - first))
    return Width(float(columns[0]) / side, float(columns[-1] + 1) / side, (row + 0.5) / side)


class LungModel:
    """A loaded lungs graph. Safe to share between threads.

    Attributes:
        card: Its description.
        identity: SHA-256 of the card, which holds the hash of the graph.
    """

    def __init__(self, card: LungCard, identity: str, session: Any) -> None:
        self.card = card
        self.identity = identity
        self._session = session

    def __repr__(self) -> str:
        return f"<LungModel {self.card.name}: {', '.join(self.card.structures)}; {self.identity[:12]}>"

    @check_arguments
    def outline(self, image: str | Path | Radiograph | NDArray[np.float32], border: Border = NO_BORDER) -> LungOutlines:
        """Return the outlines of one radiograph.

        Args:
            image: A file, a `Radiograph`, or pixels [H, W] (float, 0 = black, 1 = white, row 0 = head).
            border: Is cut off before the graph looks; see `imaging.border.find_border`.

        Returns:
            The outlines; where it sees no lung, their masks are empty.

        Raises:
            ImageError: The file cannot be read, or the picture is a strip.
            UsageError: The array is no radiograph.

        Example:
            >>> outlines = ps.load_lungs().outline("study.dcm")
            >>> outlines.mask("lungs").mean(), outlines.cardiothoracic_ratio
        """
        if isinstance(image, str | Path):
            image = read_radiograph(image)
        pixels = (image if isinstance(image, Radiograph) else as_radiograph(image, "image")).pixels
        inside = border.cut(pixels)
        check_no_strip(inside.shape)
        batch = np.ascontiguousarray(inside, np.float32)[None, None]  # [H, W] -> [1, 1, H, W]
        (masks,) = self._session.run([OUTPUT], {"image": batch})
        height, width = pixels.shape
        return LungOutlines(masks[0], tuple(self.card.structures), (height, width), border)


@check_arguments
def load_lungs(folder: str | Path = BUILTIN_LUNGS) -> LungModel:
    """Load and verify a lungs graph.

    Args:
        folder: The folder that holds ``card.json`` and ``model.onnx``; the one of the package by default.

    Returns:
        The graph, which can be shared between threads.

    Raises:
        MissingBundleError: A file of it is missing.
        BundleError: It was altered, its card is of another schema, or names another number of structures than its graph
            gives.

    Example:
        >>> ps.load_lungs().outline("study.dcm")
    """
    card, identity, session = read_companion(Path(folder), LungCard, "lungs graph")
    check_outputs(Path(folder), session, OUTPUT, tuple(card.structures), "structures")
    return LungModel(card, identity, session)


@cache
def builtin_lungs() -> LungModel:
    """Return the lungs graph of the package; a process loads it once."""
    return load_lungs()


def lungs_of(model: LungModel | str | Path | None) -> LungModel:
    """Return the graph itself, or load it; None: the one of the package."""
    if model is None:
        return builtin_lungs()
    return model if isinstance(model, LungModel) else load_lungs(model)
