"""What `Model.predict` takes: paths, folders, bytes, arrays and radiographs, each with the name of its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import UsageError
from pneumoscope.imaging.files import find_images
from pneumoscope.imaging.read import Radiograph, decode, read

ImageInput: TypeAlias = str | Path | bytes | NDArray[np.floating] | Radiograph
"""A path, a folder, a file's bytes, pixels [H, W] (float, 0 = black, 1 = white, row 0 = head) or a `Radiograph`."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """One image to predict.

    Attributes:
        name: What its row is called: the path, or "array 2", "bytes 2", "radiograph 2" by its place from 0.
        load: Reads it; raises a `PneumoscopeError` where that fails.
        path: Where it lies; None where it is no file.
    """

    name: str
    load: Callable[[], Radiograph]
    path: str | None = None


def named_images(inputs: ImageInput | Iterable[ImageInput], depth: int | None = None) -> Iterator[NamedImage]:
    """Yield the images that ``inputs`` stand for, folders walked through, in order.

    Args:
        inputs: One input or several.
        depth: Bits in use in 16-bit files, see `imaging.read.read`.

    Raises:
        UsageError: A folder holds no image, an array is no radiograph, or an input is of no known kind.
    """
    several = [inputs] if isinstance(inputs, str | Path | bytes | np.ndarray | Radiograph) else inputs
    for place, item in enumerate(several):
        if isinstance(item, str | Path):
            files = find_images([item]).files if Path(item).is_dir() else [str(item)]
            yield from (file_image(path, depth) for path in files)
        elif isinstance(item, bytes):
            yield _encoded(item, f"bytes {place}", depth)
        elif isinstance(item, np.ndarray):
            yield _from_radiograph(f"array {place}", as_radiograph(item, f"array {place}"))
        elif isinstance(item, Radiograph):
            yield _from_radiograph(f"radiograph {place}", item)
        else:
            raise UsageError(
                f"input {place}",
                f"is a {type(item).__name__}, which is no image.",
                "Give paths, folders, bytes, arrays [H, W] or radiographs.",
            )


def as_radiograph(pixels: NDArray[np.floating], name: str) -> Radiograph:
    """Return an array of pixels as a radiograph.

    Args:
        pixels: [H, W] float, 0 = black, 1 = white, row 0 = head, column 0 = patient's right.
        name: What to call it in an error.

    Raises:
        UsageError: It has another shape or type, or values outside 0..1.
    """
    if pixels.ndim != 2 or not pixels.size:
        raise UsageError(
            name, f"has the shape {pixels.shape}; one radiograph is [H, W].", "Give a list of such arrays."
        )
    if not np.issubdtype(pixels.dtype, np.floating):
        raise UsageError(
            name,
            f"holds {pixels.dtype}; pixels are floating point, 0 = black, 1 = white.",
            "Divide by the largest value that its type or its depth can hold, such as 255.",
        )
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # also where a value is not a number
        raise UsageError(
            name, f"holds values from {low:g} to {high:g}; pixels are 0 = black to 1 = white.", "Scale it."
        )
    return Radiograph(np.ascontiguousarray(pixels, np.float32), "array", 32, "", {})


def file_image(path: str, depth: int | None = None) -> NamedImage:
    """Return the image in a file; ``depth`` as for `imaging.read.read`."""
    return NamedImage(path, lambda: read(path, depth=depth), path)


def _encoded(data: bytes, name: str, depth: int | None) -> NamedImage:
    return NamedImage(name, lambda: decode(data, name, depth=depth))


def _from_radiograph(name: str, radiograph: Radiograph) -> NamedImage:
    return NamedImage(name, lambda: radiograph)
