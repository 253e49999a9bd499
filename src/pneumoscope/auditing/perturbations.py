"""Changes of a radiograph that leave the disease in or take it out: does the answer follow?

Three kinds. A *removal* takes the lungs, or all but a trace of the picture, away: an answer that is still right rests
on something else (Maguolo & Nanni, Information Fusion 2021; DeGrave et al., Nature Machine Intelligence 2021). A
*disturbance* leaves the disease as it is: an answer that changes rests on something that does not matter. A *framing*
leaves the whole of the lungs in the picture, at another size or angle. All scores may move together then, so that the
AUROC stays and the decisions change all the same: the decisions are what is measured.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pneumoscope.data.boxes import Box
from pneumoscope.imaging.corners import corner_places

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]

BORDER = 0.10
"""Width of the border, as a share of each side."""
_CROP = 0.05
"""What is cut off at each side, as a share of it: films are cut by that much between scanner and archive."""
_TURN = 5.0
"""Degrees: patients stand or lie that much askew."""
_MARGIN = 0.04  # by which lungs and their boxes are dilated, as a share of the shorter side


@dataclass(frozen=True)
class AuditImage:
    """One image of an audit.

    Args:
        pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head.
        lungs: [H, W] True inside the lungs; None where they are not known.
        seed: Decides what is random in a change.
        input_size: Side of the square that the network sees.
        boxes: The boxes that readers drew around findings; none where nobody drew one.
    """

    pixels: Pixels
    lungs: Mask | None
    seed: int
    input_size: int
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Perturbation:
    """One change of an image and the question that it answers."""

    name: str
    title: str
    question: str
    kind: Literal["removal", "disturbance", "framing"]
    apply: Callable[[AuditImage], Pixels]
    margin: float
    """AUROC; of a framing, the share of the decisions that may change."""
    decisive: bool = False  # whether it alone can fail a model
    needs_lungs: bool = False


def _margin_of(image: AuditImage) -> int:
    return max(1, int(_MARGIN * min(image.pixels.shape) + 0.5))


def _lungs_of(image: AuditImage) -> Mask:
    if image.lungs is None:
        raise ValueError("this change needs the outline of the lungs")
    return image.lungs


def dilate(mask: Mask, by: int) -> Mask:
    """Return a mask [H, W] that reaches ``by`` pixels further in each direction."""
    return np.asarray(ndimage.maximum_filter(mask, 2 * by + 1), np.bool_)


def lung_boxes(lungs: Mask, by: int) -> Mask:
    """Return [H, W] True in the boxes of the one or two largest parts of the lungs, ``by`` pixels wider."""
    parts, count = ndimage.label(lungs)
    sizes = np.bincount(parts.ravel())[1:]
    boxes = np.zeros(lungs.shape, np.bool_)
    for number in np.argsort(sizes)[::-1][: min(2, count)]:
        rows, columns = ndimage.find_objects(parts)[number]
        boxes[max(0, rows.start - by) : rows.stop + by, max(0, columns.start - by) : columns.stop + by] = True
    return boxes


def black_out_lungs(image: AuditImage) -> Pixels:
    """Return the picture with the lungs black. Their outline stays visible."""
    return np.where(_lungs_of(image), np.float32(0), image.pixels)


def black_out_boxes(image: AuditImage) -> Pixels:
    """Return the picture with boxes around the lungs black, so that not even their outline is left."""
    return np.where(lung_boxes(_lungs_of(image), _margin_of(image)), np.float32(0), image.pixels)


def keep_lungs(image: AuditImage) -> Pixels:
    """Return the lungs with a small margin, everything else black."""
    return np.where(dilate(_lungs_of(image), _margin_of(image)), image.pixels, np.float32(0))


def keep_border(image: AuditImage) -> Pixels:
    """Return the border of the picture, its middle black."""
    height, width = image.pixels.shape
    rows, columns = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    changed = image.pixels.copy()
    changed[rows : height - rows, columns : width - columns] = 0
    return changed


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return [height, width], antialiased."""
    square = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
    return np.clip(np.asarray(square.resize((width, height), Image.Resampling.BOX), np.float32), 0, 1)


def _through(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return the picture in its own size after it has passed through a smaller one."""
    small = Image.fromarray(resize(pixels, height, width))
    back = small.resize(pixels.shape[::-1], Image.Resampling.BILINEAR)
    return np.clip(np.asarray(back, np.float32), 0, 1)


def _thumbnail(side: int) -> Callable[[AuditImage], Pixels]:
    return lambda image: _through(image.pixels, side, side)


def shuffle_pixels(image: AuditImage) -> Pixels:
    """Return the same grey values at random places: only the histogram is left."""
    flat = np.random.default_rng(image.seed).permutation(image.pixels.ravel())
    shuffled: Pixels = flat.reshape(image.pixels.shape).astype(np.float32)
    return shuffled


def erase_markers(image: AuditImage) -> Pixels:
    """Return the picture without letters and signs: corners evened out, small bright things outside the lungs too."""
    pixels = image.pixels
    size = max(3, round(0.06 * min(pixels.shape)) | 1)
    opened = ndimage.grey_opening(pixels, size)
    signs = pixels - opened > 0.25  # a white top-hat: bright, and smaller than the window
    if image.lungs is not None:
        signs &= ~dilate(image.lungs, _margin_of(image))
    changed = np.where(dilate(signs, max(1, size // 6)) & (pixels > opened), opened, pixels).astype(np.float32)
    places = corner_places((pixels.shape[0], pixels.shape[1]))
    # One value for all four, so that a sign that fills its corner does not stay.
    level = np.float32(np.median([np.median(pixels[place]) for place in places]))
    for place in places:
        changed[place] = level
    return changed


def mirror(image: AuditImage) -> Pixels:
    """Return the picture with left and right exchanged."""
    return np.ascontiguousarray(image.pixels[:, ::-1])


def crop(image: AuditImage) -> Pixels:
    """Return the picture without a twentieth of its size at each side."""
    height, width = image.pixels.shape
    rows, columns = round(_CROP * height), round(_CROP * width)
    return np.ascontiguousarray(image.pixels[rows : height - rows, columns : width - columns])


def turn(image: AuditImage) -> Pixels:
    """Return the picture turned by 5 degrees, to the side that its seed decides; what comes into it is black."""
    degrees = _TURN if image.seed % 2 else -_TURN
    turned: Pixels = ndimage.rotate(image.pixels, degrees, reshape=False, order=1, cval=0.0)
    return np.clip(turned, 0, 1)


def compress(image: AuditImage) -> Pixels:
    """Return the picture after JPEG of a quality from 30 to 50, which its seed decides."""
    data = io.BytesIO()
    quality = int(np.random.default_rng(image.seed).integers(30, 51))
    Image.fromarray((image.pixels * 255).round().astype(np.uint8)).save(data, "JPEG", quality=quality)
    with Image.open(data) as coarse:
        grey: Pixels = np.asarray(coarse.convert("L")).astype(np.float32) / np.float32(255)
    return grey


def halve_resolution(image: AuditImage) -> Pixels:
    """Return the picture with half of the detail that the network can see."""
    side = max(8, image.input_size // 2)
    height, width = image.pixels.shape
    return _through(image.pixels, min(side, height), min(side, width))


def exchange(
    pixels: Pixels, donor: Pixels, places: list[tuple[slice, slice]], donor_places: list[tuple[slice, slice]]
) -> Pixels:
    """Return a picture with places of it replaced by the same places of another picture.

    Args:
        pixels: [H, W].
        donor: [h, w], of any size.
        places: In ``pixels``.
        donor_places: The same places in ``donor``.
    """
    changed = pixels.copy()
    for place, other in zip(places, donor_places, strict=True):
        height, width = changed[place].shape
        changed[place] = resize(donor[other], height, width)
    return changed


LUNGS, BOXES = "lungs-blacked-out", "boxes-blacked-out"
"""Names of the two removals of the lungs."""

_PERTURBATIONS = (
    Perturbation(
        LUNGS,
        "Lungs blacked out",
        "Does the model still answer rightly when the lungs are black?",
        "removal",
        black_out_lungs,
        0.15,
        decisive=True,
        needs_lungs=True,
    ),
    Perturbation(
        BOXES,
        "Boxes around the lungs blacked out",
        "Does it still answer rightly when not even the outline of the lungs is left?",
        "removal",
        black_out_boxes,
        0.15,
        decisive=True,
        needs_lungs=True,
    ),
    Perturbation(
        "border-only",
        "Border only",
        "Does it answer rightly from the outer tenth of the picture?",
        "removal",
        keep_border,
        0.15,
        decisive=True,
    ),
    Perturbation(
        "thumbnail-8",
        "8 x 8 pixels",
        "Does it answer rightly from 64 grey values?",
        "removal",
        _thumbnail(8),
        0.15,
    ),
    Perturbation(
        "thumbnail-16",
        "16 x 16 pixels",
        "Does it answer rightly from 256 grey values?",
        "removal",
        _thumbnail(16),
        0.25,
    ),
    Perturbation(
        "histogram-only",
        "Histogram only",
        "Does it answer rightly from the grey values alone, their places exchanged at random?",
        "removal",
        shuffle_pixels,
        0.15,
    ),
    Perturbation(
        "lungs-only",
        "Lungs only",
        "Does it need what lies outside the lungs?",
        "disturbance",
        keep_lungs,
        0.10,
        needs_lungs=True,
    ),
    Perturbation(
        "markers-erased",
        "Corners and markers erased",
        "Does it need letters, signs or corners?",
        "disturbance",
        erase_markers,
        0.05,
    ),
    Perturbation("mirrored", "Mirrored", "Does it need to know left from right?", "disturbance", mirror, 0.05),
    Perturbation(
        "jpeg", "JPEG quality 30 to 50", "Does compression change its answers?", "disturbance", compress, 0.05
    ),
    Perturbation(
        "half-resolution",
        "Resolution halved",
        "Does a coarser picture change its answers?",
        "disturbance",
        halve_resolution,
        0.05,
    ),
    Perturbation(
        "cropped",
        "Cropped by 5% at each side",
        "Does it decide otherwise about the same chest, a little larger in its picture?",
        "framing",
        crop,
        0.10,
    ),
    Perturbation(
        "turned",
        "Turned by 5 degrees",
        "Does it decide otherwise about the same chest, a little askew?",
        "framing",
        turn,
        0.10,
    ),
)

PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType({each.name: each for each in _PERTURBATIONS})
"""Name -> change, in the order in which an audit reports them."""
