"""The answers of a model to images and to changed images, kept in files so that a stopped audit goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.perturbations import Pixels
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.bundle.runtime import Model
from pneumoscope.core.engine import Engine
from pneumoscope.core.files import atomic_path

_BLOCK = 64
"""Images whose answers are written together."""
_VERSION = 3
"""Of the changes: raise it where one of them gives other pixels."""

Change = Callable[[int], Callable[[], Pixels]]
"""Place of an image -> what makes its changed pixels, with all that it needs, so that another process can call it."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """Makes changed pixels and asks the model about them, in whatever process an engine calls it."""

    model: Model

    def __call__(self, change: Callable[[], Pixels]) -> float:
        return float(self.model.probabilities(change())[0])


class AnswerStore:
    """Asks a model and remembers its answers.

    Args:
        model: The loaded bundle.
        images: The images of the audit.
        folder: Where answers are kept; None keeps none.
        engine: Where the model runs.
    """

    def __init__(self, model: Model, images: AuditSet, folder: Path | None, engine: Engine) -> None:
        self._ask, self._folder, self._engine = _Ask(model), folder, engine
        # A model may have the outlines of the lungs graph as a second input.
        self._key = f"{_VERSION} {model.identity} {builtin_lungs().identity} {_hash_of(images)}"
        if model.place is not None:  # `Model.about`: the graph gives the answers to other findings, too
            self._key += f" {model.place}"

    def scores(
        self, name: str, change: Change, places: NDArray[np.intp], advance: Callable[[int], None]
    ) -> NDArray[np.float64]:
        """Return the primary label's probability for changed images.

        Args:
            name: Of the change; it must name all that decides its pixels.
            change: Returns what makes the changed pixels of an image.
            places: [n] which images.
            advance: Called with the number of images that are answered.

        Returns:
            [n] probabilities.
        """
        key = hashlib.sha256(f"{self._key} {name} {places.tolist()}".encode()).hexdigest()[:20]
        blocks = [places[start : start + _BLOCK] for start in range(0, len(places), _BLOCK)]
        paths = [self._folder and self._folder / f"{name}-{key}-{k * _BLOCK}.npy" for k in range(len(blocks))]
        stored = [
            None if path is None else _read_block(path, len(block)) for path, block in zip(paths, blocks, strict=True)
        ]
        missing = (int(place) for block, known in zip(blocks, stored, strict=True) if known is None for place in block)
        answers: list[NDArray[np.float64]] = []
        # All blocks in one call, so that no worker waits at the end of each.
        with closing(self._engine.map(self._ask, (change(place) for place in missing))) as fresh:
            for path, block, known in zip(paths, blocks, stored, strict=True):
                if known is None:
                    known = np.array(list(islice(fresh, len(block))), np.float64)
                    if path is not None:
                        with atomic_path(path) as temporary, temporary.open("wb") as file:
                            np.save(file, known)
                answers.append(known)
                advance(len(block))
        return np.concatenate(answers) if answers else np.empty(0)


def _hash_of(images: AuditSet) -> str:
    """Return a hash of all that decides changed pixels: pixels, outlines, seeds, sizes, labels and groups.

    The hashes of the files are not enough: the same file gives other pixels at another depth, and a mask may change.
    """
    digest = hashlib.sha256()
    for image in images.images:
        digest.update(f"{image.pixels.shape} {image.seed} {image.input_size} ".encode())
        digest.update(np.ascontiguousarray(image.pixels, np.float32).tobytes())
        digest.update(b"none" if image.lungs is None else np.packbits(image.lungs).tobytes())
    digest.update(images.positive.tobytes() + np.asarray(images.group, np.int64).tobytes())
    return digest.hexdigest()


def _read_block(path: Path, count: int) -> NDArray[np.float64] | None:
    """Return the answers of a file; None where there is no file, or it is not whole, so that they are asked again."""
    if not path.is_file():
        return None
    try:
        block = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(block, np.ndarray) and block.shape == (count,) and block.dtype == np.float64
    return block if whole and np.isfinite(block).all() else None
