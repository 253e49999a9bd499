"""Facts of each file that may tell where an image comes from, and a thumbnail to recognise it again.

A network sees borders, compression and size as well as lungs. If these alone predict the label, the network can use
them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError, MissingExtraError
from pneumoscope.data.checks.pixel_facts import SIZES, measure_pixels
from pneumoscope.data.fingerprint import SIDE, thumbnail
from pneumoscope.data.thumbnails import Thumbnails, to_integers

if TYPE_CHECKING:
    import pandas as pd

DARK = 0.04
"""A line of pixels belongs to a dark border if 98 of 100 of them are darker."""

_LIGHT = 0.75  # a line of pixels is a light frame if 98 of 100 are brighter

_BLOCK = 1024  # files

# The luminance table that quality 50 stands for (ITU-T T.81, table K.1), in zigzag order as a file stores it.
_LUMINANCE_SUM = 3688


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts of one file apart from the lungs. Lengths are shares of width or height, grey is 0 = black, 1 = white."""

    error: str = ""
    sha256: str = ""
    format: str = ""
    quality: float = np.nan  # of JPEG, 1 to 100; NaN where there is no JPEG
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    frame: bool = False  # the outermost line is light on all four sides
    mean: float = 0.0
    commonest: float = 0.0  # share of the pixels that have the most frequent of 256 greys


def jpeg_quality(table: Sequence[int]) -> float:
    """Return the quality, 1 to 100, whose scaled standard luminance table is nearest to a file's (libjpeg's rule).

    Args:
        table: The 64 entries of the file's first quantisation table.
    """
    scale = 100 * sum(table) / _LUMINANCE_SUM
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return float(np.clip(round(quality), 1, 100))


class FileMeasurement(NamedTuple):
    """What is measured of one file: facts, thumbnail [64, 64], vectors (`pixel_facts`) of the pixels.

    Thumbnail and vectors are zeros if the file is unreadable.
    """

    facts: FileFacts
    small: NDArray[np.float32]
    vectors: NDArray[np.float32]


def measure(path: Path, depth: int | None = None) -> FileMeasurement:
    """Read one file and measure it.

    Args:
        path: The file.
        depth: Bits in use in a 16-bit file, see `imaging.read.read`.
    """
    from pneumoscope.imaging.read import read

    try:
        radiograph = read(path, depth=depth)
    except MissingExtraError:
        raise
    except ImageError as error:
        nothing = np.zeros((SIDE, SIDE), dtype=np.float32), np.zeros(sum(SIZES.values()), dtype=np.float32)
        return FileMeasurement(FileFacts(error=error.problem), *nothing)
    pixels = radiograph.pixels
    left, right = _border(pixels, 0)
    top, bottom = _border(pixels, 1)
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    counts = np.bincount((pixels * np.float32(255) + np.float32(0.5)).astype(np.uint8).ravel(), minlength=256)
    facts = FileFacts(
        sha256=radiograph.sha256,
        format=radiograph.format,
        quality=_quality(path) if radiograph.format == "jpeg" else float("nan"),
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        frame=all(bool(np.quantile(edge, 0.02) > _LIGHT) for edge in edges),
        mean=float(pixels.mean()),
        commonest=float(counts.max() / counts.sum()),
    )
    return FileMeasurement(facts, thumbnail(pixels), measure_pixels(pixels))


def _quality(path: Path) -> float:
    from PIL.JpegImagePlugin import JpegImageFile

    tables = JpegImageFile(BytesIO(path.read_bytes())).quantization
    return jpeg_quality(tables[min(tables)]) if tables else float("nan")


def _border(pixels: NDArray[np.float32], axis: int) -> tuple[float, float]:
    """Return the share of the width (axis 0: columns) or height that is dark at its start and at its end."""
    dark = (pixels > np.float32(DARK)).mean(axis=axis) <= 0.02
    if dark.all():
        return 1.0, 1.0
    return float(np.argmin(dark) / len(dark)), float(np.argmin(dark[::-1]) / len(dark))


def measure_all(
    paths: Sequence[Path],
    tick: Callable[[int], None] = lambda _: None,
    depths: Sequence[int | None] | None = None,
) -> tuple[pd.DataFrame, Thumbnails, NDArray[np.float32]]:
    """Read many files.

    Returns:
        A table with a row each, columns as in `FileFacts`; thumbnails, black for unreadable files; vectors [N, D].
    """
    import pandas as pd

    columns: dict[str, list[Any]] = {field.name: [] for field in fields(FileFacts)}
    small = Thumbnails(len(paths))
    vectors = np.zeros((len(paths), sum(SIZES.values())), dtype=np.float32)
    each = depths or [None] * len(paths)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        # Block by block: the pool would keep the results of all files until the slowest one is read.
        for start in range(0, len(paths), _BLOCK):
            block = slice(start, start + _BLOCK)
            for place, (facts, picture, vector) in enumerate(pool.map(measure, paths[block], each[block]), start):
                for name, column in columns.items():
                    column.append(getattr(facts, name))
                small.put(slice(place, place + 1), to_integers(picture[None]))
                vectors[place] = vector
                tick(place + 1)
    return pd.DataFrame(columns), small, vectors
