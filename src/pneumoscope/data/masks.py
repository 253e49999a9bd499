"""Mask files: an import draws them from outlines or joins them; displays and trainings read them.

A mask is an 8-bit PNG, 255 inside and 0 outside. Masks from here never go into a publisher's folder: they lie in a
folder of their own, which is a further root of the manifest (``manifest.Manifest.mask_paths``).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError, ManifestError, PneumoscopeError
from pneumoscope.core.files import atomic_path
from pneumoscope.data.polygons import Outlines, union_mask
from pneumoscope.data.source import Row, relative_name
from pneumoscope.imaging.plane import suppress_warnings
from pneumoscope.imaging.read import MAX_BYTES, MAX_PIXELS
from pneumoscope.imaging.remote import address_of, read_bytes

KINDS = ("lung", "ignore")
_MOST_BETWEEN = 0.2  # of a mask's pixels: the blurred edge of a small mask takes a tenth, a radiograph far more
_MOST_SHARED = 0.1  # of the smaller lung's pixels: outlines of two lungs may touch at the mediastinum
_SAME_SHAPE = 0.02  # sizes that differ by rounding alone differ by less in their proportions


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Return a mask file as [H, W]: True inside.

    Inside is what has at least half of white in one of its colours; in a mask of zeros and ones, as segmentation
    programs write it, the ones. What is transparent is outside.

    Raises:
        ImageError: It is absent or no readable image.
    """
    return _inside(_read_greys(path))


def check_mask(path: Path, *, may_be_empty: bool = False) -> str | None:
    """Return why a file shows no structure of a chest; None where it may.

    An empty mask would teach that nothing is there, a full one that all is; a picture of many greys is a radiograph
    and no mask; no lung and no heart covers all four corners of a picture, but the outside of them does.

    Args:
        path: The mask.
        may_be_empty: An empty mask is no fault: an image may have nothing to ignore.

    Returns:
        What is wrong, to follow the file's name; it has no full stop.

    Raises:
        ImageError: It is absent or no readable image.
    """
    greys = _read_greys(path)
    inside, white = _inside(greys), greys.max(initial=0)
    between = float(((greys > 0.1 * white) & (greys < 0.9 * white)).mean()) if white else 0.0
    if between > _MOST_BETWEEN:
        return f"is a picture and no mask: {between:.0%} of its pixels are neither black nor white"
    if not inside.any():
        if may_be_empty and not white:
            return None
        values = f"its values are 0 to {white:g}, and inside is 128 or more, or 1 in a mask of zeros and ones"
        return "is empty: " + (values if white else "no pixel is inside")
    if inside.all():
        return "is full: every pixel is inside"
    if not may_be_empty and inside[[0, 0, -1, -1], [0, -1, 0, -1]].all():
        return "has all four corners inside: it seems to be inverted, and white must be inside"
    return None


def _inside(greys: NDArray[Any]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = greys >= (128 if greys.max(initial=0) > 1 else 1)
    return inside


def _read_greys(path: Path) -> NDArray[Any]:
    """Return [H, W]: the brightest of a pixel's colours, 0 where it is transparent, at most 255."""
    with _open_mask(path) as image:
        if image.mode in ("P", "PA", "RGB", "RGBA", "LA"):
            colours = np.asarray(image.convert("RGBA"))
            opaque: NDArray[np.bool_] = colours[..., 3] >= 128
            return np.where(opaque, colours[..., :3].max(-1), 0)
        grey = np.asarray(image if image.mode in ("I", "I;16", "F") else image.convert("L"))
        return np.minimum(grey, 255) if grey.max(initial=0) > 255 else grey


@contextmanager
def _open_mask(path: Path) -> Iterator[Any]:
    """Open a mask by Pillow, its header first: a size beyond the limit is refused before anything is decoded.

    Raises:
        ImageError: It is absent, no readable image (also where that shows as it is decoded), or too large.
    """
    from PIL import Image

    try:
        address = address_of(path)
        with suppress_warnings(), Image.open(path if address is None else _bytes_of(address)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            yield image
    except PneumoscopeError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(
            str(path),
            f"is named as a mask, and its header declares more than {MAX_PIXELS:,} pixels, which no mask has here.",
            "Restore the mask from the source, or save a smaller copy of it under this name.",
            code="too-many-pixels",
        ) from error
    except Exception as error:  # Pillow fails in many ways on damaged files
        raise ImageError(
            str(path),
            "is named as a mask and cannot be read.",
            "Import the source again, or name its folder in `roots`.",
        ) from error


def _bytes_of(address: str) -> io.BytesIO:
    return io.BytesIO(read_bytes(address, MAX_BYTES))


def describe_stretched_masks(
    rows: Sequence[Row], sizes: Sequence[tuple[int, int]], root: Path, parts: Mapping[str, Sequence[Path]]
) -> list[str]:
    """Return a remark where masks have other proportions than their images; they are stretched over the whole image.

    Args:
        rows: Of a source; masks of other roots are left out.
        sizes: Width and height of each image, in pixels, in the same order.
        root: Folder of the images and masks.
        parts: Image -> masks of its single lungs.

    Raises:
        ImageError: A mask is no readable image, or too large.
    """
    stretched = []
    for row, (across, down) in zip(rows, sizes, strict=True):
        names = [name for name in (row.lung_mask, row.heart_mask, row.ignore_mask) if name is not None]
        for file in (*(root / name for name in names), *parts.get(row.image, ())):
            if not file.is_file():
                continue
            with _open_mask(file) as mask:  # its header alone
                width, height = mask.size
            if abs(across * height / (down * width) - 1) > _SAME_SHAPE:
                name = relative_name(file, root)
                stretched.append(f"{name} ({width}x{height}) over {across}x{down}")
    if not stretched:
        return []
    more = f" and {len(stretched) - 3:,} more" if len(stretched) > 3 else ""
    words = "1 mask has" if len(stretched) == 1 else f"{len(stretched):,} masks have"
    return [
        f"{words} other proportions than the image; it covers the whole image, so look if the outline fits: "
        f"{', '.join(stretched[:3])}{more}"
    ]


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write [H, W] as PNG, 255 inside, complete or not at all."""
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary)


def draw_masks(
    rows: Sequence[Row], sizes: Sequence[tuple[int, int]], outlines: dict[str, Outlines], folder: Path, root: str
) -> tuple[list[Row], list[str]]:
    """Draw the outlines, in the size of each image, into ``folder/lung`` and ``folder/ignore``.

    Outlines of another size than the image are stretched over the whole of it, and the notes say so.

    Args:
        rows: The rows of the source.
        sizes: Width and height of each image, in pixels, in the same order.
        outlines: Image -> its outlines.
        folder: The folder of the masks.
        root: Name of that folder among the manifest's roots.

    Returns:
        The rows with their masks, and remarks for the manifest's notes.

    Raises:
        ManifestError: The masks of two images would have one name.
    """
    masked_rows, notes, names = [], [], set()
    for row, (across, down) in zip(rows, sizes, strict=True):
        outline = outlines.get(row.image)
        if outline is None:
            masked_rows.append(row)
            continue
        scale = (across / outline.width, down / outline.height)
        if scale != (1, 1):
            notes.append(_describe_stretch(row.image, (across, down), outline))
        name = _mask_name(row.image)
        if name in names:
            raise ManifestError(row.image, f"has a mask of the same name as another image's ({name}).", "Rename one.")
        names.add(name)
        masks: dict[str, str] = {}
        for kind in KINDS:
            mask = union_mask(getattr(outline, kind), across, down, scale)
            if mask.any():
                write_mask(folder / kind / name, mask)
                masks[kind] = f"{root}:{kind}/{name}"
            elif getattr(outline, kind):
                notes.append(f"{row.image}: its {kind} outline encloses no pixel")
        definition = row.lung_definition if "lung" in masks else None
        masked_rows.append(
            replace(row, lung_mask=masks.get("lung"), ignore_mask=masks.get("ignore"), lung_definition=definition)
        )
    return masked_rows, notes


def join_masks(rows: Sequence[Row], parts: Mapping[str, Sequence[Path]], folder: Path, root: str) -> list[Row]:
    """Join masks of single lungs into one mask of both, in ``folder/lung``.

    Args:
        rows: The rows of the source.
        parts: Image -> masks of its lungs, one each, in one size.
        folder: The folder of the masks.
        root: Name of that folder among the manifest's roots.

    Returns:
        The rows, those of ``parts`` with their joined mask.

    Raises:
        ManifestError: A part is no mask (see `check_mask`), two parts differ in size, or they share pixels, as two
            masks of one lung do.
        ImageError: A part cannot be read.
    """
    joined_rows = []
    for row in rows:
        files = parts.get(row.image)
        if files is None:
            joined_rows.append(row)
            continue
        for file in files:
            if (fault := check_mask(file)) is not None:
                raise ManifestError(str(file), f"{fault}.", "Repair the mask, or take it out of the folder.")
        masks = [read_mask(file) for file in files]
        names = " and ".join(str(file) for file in files)
        if len(sizes := {mask.shape for mask in masks}) > 1:
            shown = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
            raise ManifestError(names, f"are of different sizes ({shown}).", "Both show the whole image.")
        shared = int(np.all(masks, axis=0).sum())
        if shared > _MOST_SHARED * min(int(mask.sum()) for mask in masks):
            raise ManifestError(names, f"share {shared:,} pixels.", "One shows the left lung, the other the right one.")
        name = _mask_name(row.image)
        write_mask(folder / "lung" / name, np.any(masks, axis=0))
        joined_rows.append(replace(row, lung_mask=f"{root}:lung/{name}"))
    return joined_rows


def _mask_name(image: str) -> str:
    """Return the name of an image's mask, which keeps the image's ending: a.jpg and a.png are two images."""
    return f"{image.replace('/', '_')}.png"


def _describe_stretch(image: str, size: tuple[int, int], outline: Outlines) -> str:
    width, height = size
    across, down = width / outline.width, height / outline.height
    remark = (
        f"{image}: outlined at {outline.width}x{outline.height}, the image has {width}x{height}; "
        f"stretched by {across:.3f} across and {down:.3f} down"
    )
    difference = abs(across / down - 1)
    if difference > _SAME_SHAPE:
        remark += (
            f"; the proportions differ by {difference:.0%}: outlined on another cut of the picture, so look if it fits"
        )
    return remark
