"""What a model would answer if it did not see a part of the image: a reader's question, never a result.

The reader paints with a round brush. A smooth continuation of the surroundings replaces what is to be hidden
(docs/decisions.md says why), and the same graph runs on the new image. Nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pneumoscope.core.errors import ImageError
from pneumoscope.server.errors import DamagedError, InvalidRequestError, NotFoundError
from pneumoscope.server.inference.runner import InferenceRunner, Pixels, Result
from pneumoscope.server.storage import blobs

FILL = "a smooth continuation of what lies around it"
CONCURRENT = 2
"""Questions that are answered at once; the others wait."""
_FINEST = 1024
"""Longer side, in pixels, at which strokes are drawn and the fill is computed. Models see less than that, and a long
stroke of a wide brush over a large plate stays cheap."""

Mode = Literal["exclude", "include"]
"""Whether the painted part is covered, or all the rest."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BrushStroke:
    """One stroke of a round brush over the stored image, in pixels; whole numbers are the centres of pixels."""

    radius: float
    points: Sequence[tuple[float, float]]
    """x (from the left) and y (from the top)."""


@dataclass(frozen=True, slots=True)
class Occlusion:
    """A question: what does a model say about an image of which a part is covered?"""

    image: str
    """Number of the image."""
    sha256: str
    """Hash of its stored pixels."""
    model: str
    """Identity of the model, whole."""
    strokes: Sequence[BrushStroke]
    mode: Mode


@dataclass(frozen=True, slots=True)
class OcclusionAnswer:
    """What the model says."""

    result: Result
    covered: float
    """Share of the image's pixels, 0..1."""


def answer_occlusion(question: Occlusion, files: Path, runner: InferenceRunner) -> OcclusionAnswer:
    """Cover a part of a stored image and run the model on it.

    Args:
        question: What to cover and which model to run.
        files: Folder of the stored pixels.
        runner: Runs the model.

    Raises:
        NotFoundError: The image or the model is not here.
        DamagedError: The image's pixels are not those that were stored.
        InvalidRequestError: The strokes cover nothing, or everything.
        BundleError: The model can't be run on the image.
    """
    pixels = read_pixels(files, question.image, question.sha256)
    height, width = pixels.shape
    mask = draw_mask(question.strokes, question.mode, width, height)
    return OcclusionAnswer(runner.run(question.model, cover(pixels, mask), original=pixels), float(mask.mean()))


def read_pixels(folder: Path, image: str, sha256: str) -> Pixels:
    """Return the stored pixels of an image, [H, W].

    Raises:
        NotFoundError: They are gone.
        DamagedError: They are not those that were stored.
    """
    if not blobs.path_of(folder, image).is_file():
        raise NotFoundError("image")
    try:
        return blobs.read_pixels(folder, image, sha256)
    except ImageError as error:
        raise DamagedError from error


def draw_mask(strokes: Sequence[BrushStroke], mode: Mode, width: int, height: int) -> Mask:
    """Return the part of an image that strokes hide: [height, width], true where it is covered.

    Raises:
        InvalidRequestError: Nothing or everything is covered.
    """
    scale = min(1.0, _FINEST / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = Image.new("1", size)
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        points = [(x * scale, y * scale) for x, y in stroke.points]
        radius = stroke.radius * scale
        draw.line(points, fill=1, width=max(1, round(2 * radius)))
        for x, y in points:  # round ends and joints
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    painted = np.asarray(canvas.resize((width, height), Image.Resampling.NEAREST))
    mask = painted if mode == "exclude" else ~painted
    if mask.all() or not mask.any():
        share = "everything" if mask.all() else "nothing"
        raise InvalidRequestError(
            "the strokes",
            f"cover {share} of the image.",
            "Paint a part of it.",
            code="strokes-cover",
            values={"share": float(mask.mean())},
        )
    return mask


def cover(pixels: Pixels, mask: Mask) -> Pixels:
    """Return an image [H, W] with its hidden part replaced by a smooth continuation of the rest."""
    height, width = pixels.shape
    step = max(1, -(-max(height, width) // _FINEST))
    weight = _shrink(~mask, step)
    value = _shrink(np.where(mask, np.float32(0), pixels), step)
    fill = Image.fromarray(_continue(value, weight)).resize((width, height), Image.Resampling.BILINEAR)
    return np.where(mask, np.asarray(fill), pixels)


def _continue(value: Pixels, weight: Pixels) -> Pixels:
    """Return ``value / weight`` where there is weight, and elsewhere the same image's continuation at half the size.

    Push and pull over a pyramid of means (Gortler and others, "The Lumigraph", 1996, section 3.5).

    Args:
        value: [H, W], sums of the visible pixels.
        weight: [H, W], how much of each is visible; somewhere more than 0.
    """
    visible = weight > 0
    mean = np.divide(value, weight, out=np.zeros_like(value), where=visible)
    if visible.all():
        return mean
    coarse = Image.fromarray(_continue(_shrink(value), _shrink(weight)))
    smooth = np.asarray(coarse.resize(value.shape[::-1], Image.Resampling.BILINEAR))
    return np.where(visible, mean, smooth)


def _shrink(values: NDArray[Any], step: int = 2) -> Pixels:
    """Return the means of squares of ``step`` pixels; those at the lower and right edge may be smaller."""
    return np.asarray(Image.fromarray(values.astype(np.float32)).reduce(step))
