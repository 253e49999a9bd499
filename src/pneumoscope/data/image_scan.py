"""Read every image of an import once: its size, its identity, and the fingerprint that recognises it again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.core.registry import several
from pneumoscope.data.fingerprint import perceptual_hash, thumbnail

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from pneumoscope.data.manifest import Manifest

Progress = Callable[[str, int], Callable[[int], None]]
"""Opens a progress bar (what is done, how many in all) and returns the function that sets it."""


def silent(what: str, total: int) -> Callable[[int], None]:
    """Show no progress."""
    return lambda _: None


@dataclass(frozen=True, slots=True, eq=False)
class ScannedImage:
    """The facts of one image that an import uses.

    Args:
        width: Columns, in pixels.
        height: Rows, in pixels.
        bits: Bits in use per sample: those stored, unless a depth was declared for a 16-bit file.
        sha256: Of the file's bytes.
        phash: 64-bit perceptual hash, 16 hexadecimal digits.
        small: [64, 64] float32 thumbnail, 0 = black, 1 = white.
        facts: Facts that the file itself states (DICOM): ``view``, ``sex``, ``age``.
    """

    width: int
    height: int
    bits: int
    sha256: str
    phash: str
    small: NDArray[np.float32]
    facts: Mapping[str, str | int | float | None]


def scan_image(path: Path, depth: int | None = None) -> ScannedImage:
    """Read one image; ``depth`` as for `imaging.read.read`.

    Raises:
        ImageError: It is not a readable radiograph.
    """
    from pneumoscope.imaging.read import read

    radiograph = read(path, depth=depth)
    bits = radiograph.metadata.get("depth")
    small = thumbnail(radiograph.pixels)
    height, width = radiograph.pixels.shape
    return ScannedImage(
        width,
        height,
        bits if isinstance(bits, int) else radiograph.bits,
        radiograph.sha256,
        perceptual_hash(small),
        small,
        radiograph.metadata,
    )


def scan_images(
    paths: Sequence[Path],
    tick: Callable[[int], None] = lambda _: None,
    depths: int | Sequence[int | None] | None = None,
) -> list[ScannedImage | ImageError]:
    """Read many images, in order; an unreadable one gives its error in its place.

    Threads suffice, since decoding and hashing release Python's lock.

    Args:
        paths: The files.
        tick: Called with the number of files read so far.
        depths: Bits in use in 16-bit files, see `imaging.read.read`: one for all files, or one for each.
    """
    each = depths if isinstance(depths, Sequence) else [depths] * len(paths)

    def attempt(path: Path, depth: int | None) -> ScannedImage | ImageError:
        try:
            return scan_image(path, depth)
        except ImageError as error:
            return error

    results: list[ScannedImage | ImageError] = []
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for result in pool.map(attempt, paths, each):
            results.append(result)
            tick(len(results))
    return results


def imported_thumbnails(manifest: Manifest, progress: Progress = silent) -> NDArray[np.float32]:
    """Read a manifest's images again and return their thumbnails, in row order.

    Args:
        manifest: Any manifest.
        progress: Shows how far it is.

    Returns:
        [N, 64, 64] float32, 0 = black, 1 = white.

    Raises:
        ManifestError: An image is absent or has another SHA-256 than at import.
    """
    import numpy as np

    sources = ", ".join(sorted(set(manifest.table.source)))
    paths = manifest.paths()
    results = scan_images(paths, progress(f"reading {sources}", len(paths)), manifest.depths())
    problems = [
        f"{path.name} ({'another SHA-256 than at import' if isinstance(result, ScannedImage) else result.problem})"
        for path, result, sha256 in zip(paths, results, manifest.table.sha256, strict=True)
        if not isinstance(result, ScannedImage) or result.sha256 != sha256
    ]
    if problems:
        raise ManifestError(
            f"{len(problems)} images of {sources}",
            f"are not as they were imported: {several(problems)}.",
            "Import the source again.",
        )
    return np.stack([result.small for result in results if isinstance(result, ScannedImage)])
