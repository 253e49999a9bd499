"""The source of a phantom: the tone, noise, borders and markers by which real hospitals' images differ.

A model can learn these instead of the lungs. Phantoms have sources so that an audit can find that shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pneumoscope.data.phantoms.shapes import Array, Grid

WORD = "SYNTHETIC"
"""Burned into the bottom edge of every phantom."""


@dataclass(frozen=True, slots=True)
class PhantomSource:
    """The imaging of one hospital."""

    exposure: float  # the tone curve's gain: higher is whiter
    gamma: float  # contrast of the dark tones
    blur: float  # resolution: standard deviation in units of the short side
    sharpen: float  # edge enhancement, 0 = none
    noise: float
    corners: float  # how much darker the corners are
    border: str  # none, black (collimation) or frame
    marker: str  # R or L
    boxed: bool
    place: tuple[float, float]  # of the marker, as a share of width and height
    size: float  # of the marker, as a share of the short side
    names_view: bool  # AP images carry the word AP


SOURCES: Mapping[str, PhantomSource] = MappingProxyType(
    {
        "synthetic-a": PhantomSource(
            1.45, 1.55, 0.0012, 0.5, 0.010, 0.00, "none", "L", False, (0.93, 0.09), 0.055, True
        ),
        "synthetic-b": PhantomSource(
            1.25, 1.15, 0.0026, 0.0, 0.020, 0.25, "black", "R", False, (0.07, 0.12), 0.085, False
        ),
        "synthetic-c": PhantomSource(
            1.75, 1.9, 0.0020, 1.0, 0.014, 0.00, "frame", "L", True, (0.92, 0.16), 0.045, True
        ),
    }
)  # fmt: skip
"""Name -> source. Every name starts with ``synthetic``, wherever it goes."""


def expose(
    attenuation: Array, source: PhantomSource, gain: float, view: str, grid: Grid, rng: np.random.Generator
) -> Array:
    """Turn attenuation [H, W] into a picture [H, W] 0..1, without marks.

    Args:
        attenuation: [H, W] along the rays, 0 = air.
        source: The hospital.
        gain: Exposure of this one image, about 1.
        view: AP images are noisier: they are taken at the bedside.
        grid: The pixels.
        rng: For the noise of this image.
    """
    from scipy.ndimage import gaussian_filter

    short = min(grid.height, grid.width)
    scatter = 1 - np.exp(-np.float32(source.exposure * gain) * attenuation)
    picture = scatter**source.gamma
    picture *= 1 - source.corners * np.clip((grid.x**2 + grid.y**2) / 2 - 0.35, 0, 1)
    if source.sharpen:
        picture += 0.55 * source.sharpen * (picture - gaussian_filter(picture, 0.012 * short, truncate=2.5))
    grain = rng.standard_normal(picture.shape, np.float32)
    picture += grain * (source.noise * (1.5 if view != "PA" else 1.0)) * (0.5 + picture)
    picture = gaussian_filter(picture, source.blur * short, truncate=3) if source.blur * short > 0.3 else picture
    return np.asarray(np.clip(0.02 + 0.94 * picture, 0, 1), np.float32)


def mark(picture: Array, source: PhantomSource, view: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Add the border, the side marker and the word that says it is synthetic; [H, W] 0..1."""
    height, width = picture.shape
    short = min(height, width)
    layer = Image.new("L", (width, height))
    pen = ImageDraw.Draw(layer)
    jitter = rng.uniform(-0.02, 0.02, 2)
    margins = rng.integers(0, max(2, short // 18), 4)
    picture = picture.copy()
    if source.border == "black":
        left, top, right, bottom = (int(m) for m in margins)
        picture[:, :left] = picture[:top] = 0.01
        picture[:, width - right :] = picture[height - bottom :] = 0.01
    elif source.border == "frame":
        line = max(1, short // 200)
        picture[:line] = picture[-line:] = 0.85
        picture[:, :line] = picture[:, -line:] = 0.85
    at = ((source.place[0] + jitter[0]) * width, (source.place[1] + jitter[1]) * height)
    font = ImageFont.load_default(max(8, source.size * short))
    pen.text(at, source.marker, 230, font, anchor="mm")
    if source.boxed:
        x0, y0, x1, y1 = pen.textbbox(at, source.marker, font, anchor="mm")
        room = 0.25 * (y1 - y0)
        pen.rectangle((x0 - room, y0 - room, x1 + room, y1 + room), outline=230)
    if source.names_view and view != "PA":
        small = ImageFont.load_default(max(8, 0.6 * source.size * short))
        pen.text((at[0], at[1] + 0.9 * source.size * short), "AP", 210, small, anchor="mm")
    ink = np.asarray(layer, np.float32) / 255
    return stamp(np.maximum(picture, ink))


def stamp(picture: Array) -> NDArray[np.float32]:
    """Burn ``WORD`` into the bottom edge, the same pixels whatever the label, patient or source."""
    height, width = picture.shape
    font = ImageFont.load_default(max(8, min(height, width) * 0.032))
    left, top, right, bottom = (round(v) for v in font.getbbox(WORD))
    tall, wide = bottom - top + 4, right - left + 6
    plate = Image.new("L", (wide, tall), 0)
    ImageDraw.Draw(plate).text((3 - left, 2 - top), WORD, 235, font)
    stamped = picture.astype(np.float32)
    column = max(0, (width - wide) // 2)
    target = stamped[height - tall :, column : column + wide]
    target[...] = np.asarray(plate, np.float32)[: target.shape[0], : target.shape[1]] / 255
    return stamped
