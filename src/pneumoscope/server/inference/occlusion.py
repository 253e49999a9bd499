"""What a model would answer if it did not see a part of the image: a reader's question, never a result.

The reader paints with a round brush. What is to be hidden is replaced by a smooth continuation of what lies around it
(docs/decisions.md says why by that), and the same graph runs on the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pneumoscope.bundle.runtime import Model
from pneumoscope.server.api.schemas.common import HeatmapOut
from pneumoscope.server.api.schemas.reads import Stroke
from pneumoscope.server.errors import DamagedError, InvalidRequestError, NotFoundError
from pneumoscope.server.inference.runner import result_of
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.png_codec import stored_sha256, unpack

FILL = "a smooth continuation of what lies around it"
MODELS_AT_HAND = 2
"""Sessions that the server itself keeps loaded for what-ifs; its workers have their own."""
AT_ONCE = 2
"""What-ifs under way; the others wait."""
_FINEST = 1024
"""Longer side, in pixels, in which strokes are drawn and the fill is worked out: models see less than that, and a long
stroke of a wide brush over a large plate stays cheap."""

Mode = Literal["exclude", "include"]
Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]


def stored_pixels(folder: Path, image: str, sha256: str) -> Pixels:
    """Return the stored pixels of an image, [H, W].

    Raises:
        NotFoundError: They are gone.
        DamagedError: They are not those that were stored.
    """
    try:
        data = blobs.path_of(folder, image).read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError("image") from error
    if stored_sha256(data) != sha256:
        raise DamagedError("the image", "is not as it was stored.", "Restore it from a backup.")
    return unpack(data, image)


def hidden_by(strokes: Sequence[Stroke], mode: Mode, width: int, height: int) -> Mask:
    """Return what strokes hide of an image: [height, width], true where it is covered.

    Raises:
        InvalidRequestError: Nothing or everything is covered.
    """
    scale = min(1.0, _FINEST / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    drawn = Image.new("1", size)
    draw = ImageDraw.Draw(drawn)
    for stroke in strokes:
        points = [(x * scale, y * scale) for x, y in stroke.points]
        radius = stroke.radius * scale
        draw.line(points, fill=1, width=max(1, round(2 * radius)))
        for x, y in points:  # round ends and joints
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    painted = np.asarray(drawn.resize((width, height), Image.Resampling.NEAREST))
    hidden = painted if mode == "exclude" else ~painted
    if hidden.all() or not hidden.any():
        share = "everything" if hidden.all() else "nothing"
        raise InvalidRequestError(
            "the strokes",
            f"cover {share} of the image.",
            "Paint a part of it.",
            code="strokes-cover",
            values={"share": float(hidden.mean())},
        )
    return hidden


def covered(pixels: Pixels, hidden: Mask) -> Pixels:
    """Return an image [H, W] with its hidden part replaced by a smooth continuation of the rest."""
    height, width = pixels.shape
    step = max(1, -(-max(height, width) // _FINEST))
    weight = _halved(~hidden, step)
    value = _halved(np.where(hidden, np.float32(0), pixels), step)
    fill = Image.fromarray(_continued(value, weight)).resize((width, height), Image.Resampling.BILINEAR)
    return np.where(hidden, np.asarray(fill), pixels)


def _continued(value: Pixels, weight: Pixels) -> Pixels:
    """Return ``value / weight`` where there is weight, and elsewhere what the same picture at half the size says there.

    Push and pull over a pyramid of means (Gortler and others, "The Lumigraph", 1996, section 3.5).

    Args:
        value: [H, W], sums of the visible pixels.
        weight: [H, W], how much of each is visible; somewhere more than 0.
    """
    seen = weight > 0
    mean = np.divide(value, weight, out=np.zeros_like(value), where=seen)
    if seen.all():
        return mean
    coarse = Image.fromarray(_continued(_halved(value), _halved(weight)))
    smooth = np.asarray(coarse.resize(value.shape[::-1], Image.Resampling.BILINEAR))
    return np.where(seen, mean, smooth)


def _halved(values: NDArray[Any], step: int = 2) -> Pixels:
    """Return the means of squares of ``step`` pixels; those at the lower and right edge may be smaller."""
    return np.asarray(Image.fromarray(values.astype(np.float32)).reduce(step))


def answer(model: Model, pixels: Pixels, hidden: Mask) -> dict[str, Any]:
    """Return what a model says about an image with a part of it hidden, in the words of `schemas.WhatIfOut`."""
    output = model.run(covered(pixels, hidden))
    result, _ = result_of(model, output)
    return {
        **{key: result[key] for key in ("labels", "probabilities", "decision", "refused", "reason", "ood")},
        "covered": float(hidden.mean()),
        "fill": FILL,
        "heatmap": None if output.heatmap is None else HeatmapOut.of(result["labels"], output.heatmap),
    }
