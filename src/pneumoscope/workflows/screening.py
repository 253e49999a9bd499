"""Say of files whether a classifier may judge them, without a classifier and without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pneumoscope.bundle.screening import ScreeningFinding, builtin_companions
from pneumoscope.core.arguments import check_arguments
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import PneumoscopeError
from pneumoscope.imaging.files import find_images
from pneumoscope.imaging.read import check_depth, read


@dataclass(frozen=True)
class ScreeningRow:
    """What gatekeeper and lungs graph say of one file.

    Args:
        path: The file.
        refusals: Why no classifier may judge it; empty where it may, or where the file failed.
        warnings: What to know beside an answer.
        sha256: Of the file's bytes; None where it failed.
        error: Why the file failed; None where it did not.
    """

    path: str
    refusals: tuple[ScreeningFinding, ...]
    warnings: tuple[ScreeningFinding, ...]
    sha256: str | None
    error: str | None = None


@check_arguments
def screen_images(
    paths: str | Path | list[str | Path], *, depth: int | None = None, callbacks: Callbacks = SILENT
) -> list[ScreeningRow]:
    """Say of files whether they are upright frontal chest radiographs with plausible lungs.

    Args:
        paths: Files and folders.
        depth: Bits in use in 16-bit PNG and TIFF files, see `pneumoscope.read`.
        callbacks: Receive progress.

    Returns:
        One row for each file, in order. A file that cannot be read keeps its row, with an ``error``.

    Raises:
        UsageError: A folder holds no image.

    Example:
        >>> [row.path for row in ps.screen_images("studies") if row.refusals]
    """
    check_depth(depth)
    companions, rows = builtin_companions(), []
    files = find_images(paths if isinstance(paths, list) else [paths]).files
    with callbacks.counting("pictures", len(files)) as advance:
        for path in files:
            try:
                radiograph = read(path, depth=depth)
            except PneumoscopeError as error:
                rows.append(ScreeningRow(path, (), (), None, str(error)))
            else:
                screening = companions.screen(radiograph.pixels, radiograph.metadata)
                rows.append(ScreeningRow(path, screening.refusals, screening.warnings, radiograph.sha256 or None))
            advance(1)
    return rows
