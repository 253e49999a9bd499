"""The answers of a model to images and to changed images, kept in files so that a stopped audit goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.perturbations import Pixels
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.bundle.runtime import Model, default_workers
from pneumoscope.core.files import atomic_path

_BLOCK = 64
"""Images whose answers are written together."""
_VERSION = 3
"""Of the changes: raise it where one of them gives other pixels."""

Change = Callable[[int], Pixels]
"""Place of an image -> its changed pixels."""


class AnswerStore:
    """Asks a model and remembers its answers.

    Args:
        model: The loaded bundle.
        images: The images of the audit.
        folder: Where answers are kept; None keeps none.
        workers: Images at a time.
    """

    def __init__(self, model: Model, images: AuditSet, folder: Path | None, workers: int | None) -> None:
        self._model, self._images = model, images
        self._folder, self._workers = folder, workers or default_workers()
        # A model may have the outlines of the lungs graph as a second input.
        self._key = f"{_VERSION} {model.identity} {builtin_lungs().identity} {_hash_of(images)}"

    def scores(
        self, name: str, change: Change, places: NDArray[np.intp], advance: Callable[[int], None]
    ) -> NDArray[np.float64]:
        """Return the primary label's probability for changed images.

        Args:
            name: Of the change; it must name all that decides its pixels.
            change: Returns the changed pixels of an image.
            places: [n] which images.
            advance: Called with the number of images that are answered.

        Returns:
            [n] probabilities.
        """
        key = hashlib.sha256(f"{self._key} {name} {places.tolist()}".encode()).hexdigest()[:20]
        answers: list[NDArray[np.float64]] = []
        with ThreadPoolExecutor(self._workers) as pool:
            for start in range(0, len(places), _BLOCK):
                some = places[start : start + _BLOCK]
                path = None if self._folder is None else self._folder / f"{name}-{key}-{start}.npy"
                stored = None if path is None else _read_block(path, len(some))
                if stored is not None:
                    block = stored
                else:
                    block = np.array(list(pool.map(lambda place: self._ask(change(int(place))), some)), np.float64)
                    if path is not None:
                        with atomic_path(path) as temporary, temporary.open("wb") as file:
                            np.save(file, block)
                answers.append(block)
                advance(len(some))
        return np.concatenate(answers) if answers else np.empty(0)

    def _ask(self, pixels: Pixels) -> float:
        return float(self._model.probabilities(pixels)[0])


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
