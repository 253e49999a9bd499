"""The drawing tools of phantoms: pixels in body coordinates, soft-edged shapes, strokes and noise.

Body coordinates: x grows to the patient's left (the image's right), y downwards, and the short side of an image spans
about -1..1. Shapes are implicit functions (positive inside, roughly a distance), so that masks are exact at every size
and the same patient can be drawn again in another pose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[np.floating]
"""[H, W]; float32 in fact, which NumPy's types lose in mixed arithmetic."""

Polyline = tuple[NDArray[np.float64], float, float]
"""Points [P, 2] in body coordinates, width in body units, strength 0..1."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The image's pixels in body coordinates."""

    height: int
    width: int
    x: Array
    y: Array
    to_body: NDArray[np.float64]  # [2, 3]: continuous pixel (column, row, 1) -> body (x, y)
    to_pixel: NDArray[np.float64]  # [2, 2]: body (x, y) less to_body's last column -> continuous pixel

    def cloud(self, rng: np.random.Generator, *octaves: tuple[int, float]) -> Array:
        """Return smooth noise [H, W], fixed to the body, so that it moves with the patient.

        Args:
            rng: Its numbers.
            *octaves: (grains to each side of -1.4..1.4, standard deviation); their sum is returned, 0 beyond.
        """
        fine = max(64, 3 * max(cells for cells, _ in octaves))
        texture = np.zeros((fine, fine), np.float32)
        for cells, weight in octaves:
            coarse = Image.fromarray(rng.standard_normal((cells, cells), np.float32) * np.float32(1.3 * weight))
            texture += np.asarray(coarse.resize((fine, fine), Image.Resampling.BICUBIC))
        affine = self.to_body * (fine / 2.8)
        affine[:, 2] += fine / 2
        size, bilinear = (self.width, self.height), Image.Resampling.BILINEAR
        warped = Image.fromarray(texture).transform(size, Image.Transform.AFFINE, affine.ravel().tolist(), bilinear)
        return np.asarray(warped, np.float32)

    def strokes(self, lines: Sequence[Polyline], blur: float = 0.0) -> Array:
        """Draw polylines [H, W], 0..1, later ones over earlier; those thinner than a pixel are fainter instead."""
        canvas, unit = self._canvas()
        pen = ImageDraw.Draw(canvas)
        points = self._on_canvas(np.concatenate([line for line, _, _ in lines]))
        start = 0
        for line, width, strength in lines:
            end, thick = start + 2 * len(line), width * unit
            fill = round(255 * strength * min(1.0, thick))
            pen.line(points[start:end], fill=fill, width=max(1, round(thick)))
            start = end
        return self._develop(canvas, blur)

    def blots(self, shapes: Sequence[tuple[NDArray[np.float64], float]], blur: float = 0.0) -> Array:
        """Fill polygons [H, W], each with its strength 0..1, later ones over earlier."""
        canvas, _ = self._canvas()
        pen = ImageDraw.Draw(canvas)
        for points, strength in shapes:
            pen.polygon(self._on_canvas(points), fill=round(255 * strength))
        return self._develop(canvas, blur)

    def _canvas(self) -> tuple[Image.Image, float]:
        """Return an empty canvas of twice the size (against jagged edges) and its pixels per body unit."""
        unit = 2 * math.hypot(*self.to_pixel[0])
        return Image.new("L", (self.width * 2, self.height * 2)), unit

    def _on_canvas(self, points: NDArray[np.float64]) -> list[float]:
        flat: list[float] = ((points - self.to_body[:, 2]) @ (2 * self.to_pixel.T)).ravel().tolist()
        return flat

    def _develop(self, canvas: Image.Image, blur: float) -> Array:
        image = canvas.resize((self.width, self.height), Image.Resampling.BOX)
        radius = blur * min(self.height, self.width) / 2
        if radius > 0.2:
            image = image.filter(ImageFilter.GaussianBlur(radius))
        return np.asarray(image, np.float32) / 255


def make_grid(height: int, width: int, scale: float, angle: float, shift: tuple[float, float]) -> Grid:
    """Return the pixels of an image over a body that is scaled, turned (radians) and shifted in the image plane."""
    unit = 2 / min(height, width)
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    turn = np.array([[cos, sin], [-sin, cos]])
    centre = turn @ np.array([-unit * width / 2 - shift[0], -unit * height / 2 - shift[1]])
    to_body = np.column_stack([turn * unit, centre])
    columns = np.arange(width, dtype=np.float32) + np.float32(0.5)
    rows = (np.arange(height, dtype=np.float32) + np.float32(0.5))[:, None]
    x, y = (np.float32(a) * columns + np.float32(b) * rows + np.float32(c) for a, b, c in to_body)
    return Grid(height, width, x, y, to_body, np.linalg.inv(to_body[:, :2]))


def step(values: Array, width: float) -> Array:
    """Rise smoothly from 0 at ``-width`` to 1 at ``width``."""
    t: Array = values * np.float32(0.5 / width)
    t += 0.5
    np.clip(t, 0, 1, out=t)
    smooth: Array = t * t * (3 - 2 * t)
    return smooth


def curve(y: Array, knots: Sequence[tuple[float, float]]) -> Array:
    """Draw a line through ``(y, value)`` knots, its corners rounded, and read it at ``y``."""
    at, values = np.array(knots).T
    table = np.interp(np.linspace(at[0], at[-1], 256), at, values)
    rounding = np.convolve(np.full(7, 1 / 7), np.full(7, 1 / 7))
    table = np.convolve(np.pad(table, len(rounding) // 2, mode="edge"), rounding, mode="valid").astype(np.float32)
    position: Array = (y - at[0]) * np.float32(255 / (at[-1] - at[0]))
    np.clip(position, 0, 254.99, out=position)
    cell = position.astype(np.intp)
    position -= cell
    position *= np.diff(table)[cell]
    position += table[cell]
    return position


def ellipse(x: Array, y: Array, centre: tuple[float, float], axes: tuple[float, float], tilt: float = 0.0) -> Array:
    """Return about the distance into an ellipse, positive inside; ``tilt`` in radians, clockwise on screen."""
    cos, sin = math.cos(tilt), math.sin(tilt)
    dx, dy = x - centre[0], y - centre[1]
    along = dx * (cos / axes[0]) + dy * (sin / axes[0])
    across = dy * (cos / axes[1]) - dx * (sin / axes[1])
    along *= along
    across *= across
    along += across
    return min(axes) - min(axes) * np.sqrt(along, out=along)


def melt(a: Array, b: Array, width: float) -> Array:
    """Join two shapes, rounding the notch between them over about ``width``."""
    apart = a - b
    apart *= apart
    apart += width * width
    return 0.5 * (a + b + np.sqrt(apart, out=apart))


def rounded(points: Sequence[tuple[float, float]], closed: bool = True) -> NDArray[np.float64]:
    """Cut the corners of a polygon (or open line) twice: Chaikin's curve."""
    corners = np.array([*points, points[0]] if closed else points)
    for _ in range(2):
        a, b = corners[:-1], corners[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        corners = np.vstack([cut, cut[:1]]) if closed else np.vstack([corners[:1], cut, corners[-1:]])
    return corners
