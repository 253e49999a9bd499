"""What an export format is. Each format is one module of ``formats/``.

A format turns a finished bundle into files for other programs: a quantised bundle, a file for a phone, a folder that a
web server shows. It starts from the bundle, not from the training: what is exported is the graph whose figures the card
holds, also where neither its weights nor torch are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.runtime import Model
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.data.imported_images import read_imported
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.phantoms.phantom import draw

DRAWN = ((300, 240), (224, 224), (180, 512), (640, 640))
"""Rows and columns of the drawn images on which an export without real ones is compared with its bundle."""


@dataclass(frozen=True)
class ExportJob:
    """What a format works with.

    Args:
        model: The bundle, loaded and verified.
        folder: An empty folder for the files. It appears under its final name when the format is done.
        rows: Rows of a manifest whose images the format looks at; None for a format that needs none.
        callbacks: Receive the progress.
        others: Further bundles, for a format that takes several.
        seed: Of what is drawn at random.
    """

    model: Model
    folder: Path
    rows: Manifest | None = None
    callbacks: Callbacks = SILENT
    others: tuple[Model, ...] = ()
    seed: int = 0

    def read_images(self, task: str) -> Iterator[NDArray[np.float32]]:
        """Yield the images of the rows as the graph gets them: [H, W] float32, without their flat border.

        Args:
            task: What is done with them, for the progress.

        Yields:
            One image a row, in their order.

        Raises:
            ImageError: A file cannot be read.
            ManifestError: An image is not the one that was imported.
        """
        if self.rows is None:
            return
        with self.callbacks.counting(task, len(self.rows)) as advance:
            for radiograph in read_imported(self.rows):
                pixels = radiograph.pixels
                yield self.model.find_border(pixels).cut(pixels)
                advance(1)


@dataclass(frozen=True)
class ExportReport:
    """What a format says of the files that it wrote.

    Args:
        differences: Output of the graph -> largest absolute difference between the files and the bundle's graph; empty
            where nothing was compared.
        images: Images on which they were compared.
        notes: Sentences for the user: what was not checked, what to do with the files.
    """

    differences: Mapping[str, float] = field(default_factory=dict)
    images: int = 0
    notes: tuple[str, ...] = ()


Writer = Callable[[ExportJob], ExportReport]
"""Writes the files into the job's folder and compares them with the bundle's graph.

Raises `ParityError` where they differ too much, and `MissingExtraError` where a library is not installed.
"""


def take_any(_: Model) -> None:
    """Take every bundle, as most formats do."""


@dataclass(frozen=True)
class Format:
    """An export format.

    Args:
        name: The name in the registry and of the option ``--to``.
        summary: One line on what the format is for.
        write: Writes and checks the files.
        images: Whether it needs real radiographs: "needed" or "unused".
        several: Whether it takes several bundles at once.
        check: Raises a `UsageError` for a bundle that the format does not take, before any image is looked at.
    """

    name: str
    summary: str
    write: Writer
    images: Literal["needed", "unused"] = "unused"
    several: bool = False
    check: Callable[[Model], None] = take_any


def drawn_images() -> list[NDArray[np.float32]]:
    """Return phantoms [H, W] of several sizes, on which a format is compared with its bundle where no image is given.

    They show that two graphs compute the same, not that a model is any good.
    """
    return [draw(0, number, "normal", size=size).pixels for number, size in enumerate(DRAWN)]
