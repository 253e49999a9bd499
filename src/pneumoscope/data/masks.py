"""Mask files: an import draws them from outlines; displays and trainings read them.

A mask is an 8-bit PNG, 255 inside and 0 outside. Masks from here never go into a publisher's folder: they lie in a
folder of their own, which is a further root of the manifest (``manifest.Manifest.mask_paths``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.core.files import atomic_path
from pneumoscope.data.image_scan import ScannedImage
from pneumoscope.data.polygons import Outlines, union_mask
from pneumoscope.data.source import Row

KINDS = ("lung", "ignore")
_SAME_SHAPE = 0.02  # sizes that differ by rounding alone differ by less in their proportions


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Return a mask file as [H, W]: True inside.

    Inside is what has at least half of white in one of its colours; in a mask of zeros and ones, as segmentation
    programs write it, the ones. What is transparent is outside.

    Raises:
        ImageError: It is absent or no readable image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.mode in ("P", "PA", "RGB", "RGBA", "LA"):
                colours = np.asarray(image.convert("RGBA"))
                opaque: NDArray[np.bool_] = colours[..., 3] >= 128
                grey = np.where(opaque, colours[..., :3].max(-1), 0)
            else:
                grey = np.asarray(image if image.mode in ("I", "I;16", "F") else image.convert("L"))
                if grey.max(initial=0) > 255:
                    grey = np.minimum(grey, 255)
        return grey >= (128 if grey.max(initial=0) > 1 else 1)
    except (OSError, UnidentifiedImageError) as error:
        raise ImageError(
            str(path),
            "is named as a mask and cannot be read.",
            "Import the source again, or name its folder in `roots`.",
        ) from error


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write [H, W] as PNG, 255 inside, complete or not at all."""
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary)


def draw_masks(
    rows: Sequence[Row], pictures: Sequence[ScannedImage], outlines: dict[str, Outlines], folder: Path, root: str
) -> tuple[list[Row], list[str]]:
    """Draw the outlines, in the size of each image, into ``folder/lung`` and ``folder/ignore``.

    Outlines of another size than the image are stretched over the whole of it, and the notes say so.

    Args:
        rows: The rows of the source.
        pictures: The images as read, in the same order.
        outlines: Image -> its outlines.
        folder: The folder of the masks.
        root: Name of that folder among the manifest's roots.

    Returns:
        The rows with their masks, and remarks for the manifest's notes.

    Raises:
        ManifestError: The masks of two images would have one name.
    """
    masked_rows, notes, names = [], [], set()
    for row, picture in zip(rows, pictures, strict=True):
        outline = outlines.get(row.image)
        if outline is None:
            masked_rows.append(row)
            continue
        scale = (picture.width / outline.width, picture.height / outline.height)
        if scale != (1, 1):
            notes.append(_describe_stretch(row.image, picture, outline))
        name = f"{row.image.replace('/', '_')}.png"  # with the image's own ending: a.jpg and a.png are two images
        if name in names:
            raise ManifestError(row.image, f"has a mask of the same name as another image's ({name}).", "Rename one.")
        names.add(name)
        masks: dict[str, str] = {}
        for kind in KINDS:
            mask = union_mask(getattr(outline, kind), picture.width, picture.height, scale)
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


def _describe_stretch(image: str, picture: ScannedImage, outline: Outlines) -> str:
    across, down = picture.width / outline.width, picture.height / outline.height
    remark = (
        f"{image}: outlined at {outline.width}x{outline.height}, the image has {picture.width}x{picture.height}; "
        f"stretched by {across:.3f} across and {down:.3f} down"
    )
    difference = abs(across / down - 1)
    if difference > _SAME_SHAPE:
        remark += (
            f"; the proportions differ by {difference:.0%}: outlined on another cut of the picture, so look if it fits"
        )
    return remark
