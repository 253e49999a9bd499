"""Outline lungs and heart of files, without torch: a picture for a person, masks for a program, a row for each file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pneumoscope.bundle.gatekeeper import builtin_gatekeeper
from pneumoscope.bundle.lungs import LungModel, LungOutlines, lungs_of
from pneumoscope.bundle.screening import Companions
from pneumoscope.core.arguments import argument, check_arguments
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import PneumoscopeError, UsageError
from pneumoscope.core.files import shorten_name
from pneumoscope.data.masks import write_mask
from pneumoscope.imaging import overlay
from pneumoscope.imaging.files import find_images
from pneumoscope.imaging.read import Radiograph, check_depth, read

COLOURS = {"lungs": overlay.LUNG, "heart": overlay.HEART, "lungs-with-heart": (150, 150, 255)}
"""Structure -> colour of its outline: red, green, blue."""

_PICTURE_SIDE = 1024


@dataclass(frozen=True)
class LungRow:
    """What was outlined in one file.

    Args:
        path: The file.
        areas: Structure -> share of the picture, 0 to 1; empty where the file failed.
        cardiothoracic_ratio: See `LungOutlines.cardiothoracic_ratio`; None without heart or lungs, and with a doubt.
        sha256: Of the file's bytes; None where it failed.
        picture: The file of the picture; None where none was asked for or the file failed.
        error: Why the file failed; None where it did not.
        doubt: Why the gatekeeper takes the picture for no upright frontal chest, whose widths would mean nothing;
            empty where it does not.
    """

    path: str
    areas: dict[str, float]
    cardiothoracic_ratio: float | None
    sha256: str | None
    picture: Path | None
    error: str | None = None
    doubt: str = ""


@check_arguments
def outline_lungs(
    paths: str | Path | list[str | Path],
    out: str | Path | None = None,
    *,
    model: LungModel | str | Path | None = None,
    depth: int | None = None,
    callbacks: Callbacks = SILENT,
) -> list[LungRow]:
    """Outline lungs and heart of radiographs.

    Args:
        paths: Files and folders.
        out: Folder for a picture of each file with its outlines, and for ``masks/STRUCTURE/`` (PNG, 255 inside).
            It may lie in a folder of ``paths``: the files in it are then not outlined.
        model: The graph or its folder; the one of the package by default.
        depth: Bits in use in 16-bit PNG and TIFF files, see `pneumoscope.read`.
        callbacks: Receive progress.

    Returns:
        One row for each file, in order. A file that cannot be read keeps its row, with an ``error``.

    Raises:
        UsageError: A folder holds no image, or ``out`` is a file or holds a path of ``paths``.

    Example:
        >>> for row in ps.outline_lungs("studies", "outlines"):
        ...     print(row.path, row.cardiothoracic_ratio)
    """
    check_depth(depth)
    names = paths if isinstance(paths, list) else [paths]
    if out is not None:
        _check_folder(Path(out), names)
    files = find_images(names).files
    if out is not None:  # the pictures and masks of an earlier call are no radiographs
        own = Path(out).resolve()
        files = [path for path in files if not Path(path).resolve().is_relative_to(own)]
        if not files:
            raise UsageError(
                ", ".join(map(str, names)),
                f"holds no radiograph outside {argument('out', str(out))}.",
                "Name a folder with radiographs, or choose another `out`.",
            )
    chosen, folder, rows = lungs_of(model), None if out is None else Path(out), []
    companions = Companions(builtin_gatekeeper(), chosen)
    with callbacks.counting("radiographs", len(files)) as advance:
        for path in files:
            try:
                radiograph = read(path, depth=depth)
                screening = companions.screen(radiograph.pixels, radiograph.metadata)
                outlines = screening.outlines or chosen.outline(radiograph, screening.border)
            except PneumoscopeError as error:
                rows.append(LungRow(path, {}, None, None, None, str(error)))
            else:
                picture = None if folder is None else _write(folder, Path(path), radiograph, outlines)
                areas = {name: round(outlines.area(name), 4) for name in outlines.structures}
                ratio = None if screening.refusals else outlines.cardiothoracic_ratio
                ratio = None if ratio is None else round(ratio, 3)
                rows.append(LungRow(path, areas, ratio, radiograph.sha256 or None, picture, doubt=screening.reason))
            advance(1)
    return rows


def _check_folder(out: Path, paths: list[str | Path]) -> None:
    """Refuse a folder that holds the radiographs: what lies in it counts as the outlines of an earlier call."""
    if out.is_file():
        raise UsageError(argument("out", str(out)), "is a file, not a folder.", "Choose another `out`.")
    for path in paths:
        if Path(path).resolve().is_relative_to(out.resolve()):
            raise UsageError(
                argument("out", str(out)),
                f"holds {path}, which is to be outlined; files in that folder are taken as outlines.",
                "Choose another `out`, such as a new folder.",
            )


def _write(folder: Path, path: Path, radiograph: Radiograph, outlines: LungOutlines) -> Path:
    # The hash separates files of the same name in different folders.
    name = shorten_name(path.stem, f"-{radiograph.sha256[:12]}.png")
    picture = overlay.shrink(overlay.to_rgb(radiograph.pixels), _PICTURE_SIDE)
    for structure in outlines.structures:
        target = folder / "masks" / structure / name
        target.parent.mkdir(parents=True, exist_ok=True)
        mask = outlines.mask(structure)
        write_mask(target, mask)
        picture = overlay.outline_mask(picture, mask, colour=COLOURS[structure])
    overlay.write_png(folder / name, picture)
    return folder / name
