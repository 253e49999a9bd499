"""Thumbnails with brightness and contrast evened out, whole or changed: cropped, turned, mirrored or inverted."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

_BLOCK = 256


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """How a picture is changed before it is compared; by default not at all.

    Args:
        cut: Shares of width and height that are cut off each side.
        turn: Degrees, anticlockwise; the corners are filled with the nearest pixels.
        mirrored: Left and right are exchanged.
        inverted: Black and white are exchanged.
    """

    cut: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    mirrored: bool = False
    inverted: bool = False


WHOLE = Change()
"""No change."""


def change_pictures(pictures: NDArray[np.float32], change: Change, side: int) -> NDArray[np.float32]:
    """Return [N, side, side] float32, changed.

    Args:
        pictures: [N, S, S] float32, 0 = black, 1 = white.
        change: What is done to each.
        side: In pixels.
    """
    from PIL import Image

    span = pictures.shape[1]
    x, y = change.cut[0] * span, change.cut[1] * span
    if change.turn:
        pictures = _turn(pictures, change.turn)
    if side != span or x or y:
        resized = (
            Image.fromarray(picture).resize((side, side), Image.Resampling.BOX, box=(x, y, span - x, span - y))
            for picture in pictures
        )
        pictures = np.stack([np.asarray(picture, dtype=np.float32) for picture in resized])
    if change.mirrored:
        pictures = pictures[:, :, ::-1]
    return 1 - pictures if change.inverted else pictures


def _turn(pictures: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """Return the pictures turned about their middle, anticlockwise."""
    from scipy.ndimage import affine_transform

    angle, middle = np.deg2rad(degrees), (pictures.shape[1] - 1) / 2
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array([[cosine, sine], [-sine, cosine]])  # from a (row, column) of the result to one of the picture
    offset = middle - matrix @ [middle, middle]
    return np.stack([affine_transform(picture, matrix, offset, order=1, mode="nearest") for picture in pictures])


def even_out(pictures: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """Even out brightness and contrast: subtract the local mean, divide by the local spread.

    Little remains of histogram equalisation, windowing or a black border. Flat areas stay near zero.

    Args:
        pictures: [N, S, S] float32.
        blur: Standard deviation of the neighbourhood, in pixels.
    """
    from scipy.ndimage import gaussian_filter

    detail = pictures - gaussian_filter(pictures, (0, blur, blur))
    spread = np.sqrt(gaussian_filter(detail**2, (0, 2 * blur, 2 * blur)))
    floor = np.sqrt((detail**2).mean(axis=(1, 2), keepdims=True))
    evened: NDArray[np.float32] = (detail / (spread + floor + 1e-6)).astype(np.float32)
    return evened


def unit(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [N, pixels], centred and of length 1, so that a product is a correlation; a flat picture becomes zero."""
    flat = pictures.reshape(len(pictures), -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    units: NDArray[np.float32] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-3)
    return units


def in_threads(work: Callable[[NDArray[np.float32]], NDArray[T]], pictures: NDArray[np.float32]) -> NDArray[T]:
    """Return ``work`` of the pictures [N, ...], in parallel blocks: it must treat each picture on its own."""
    blocks = [pictures[start : start + _BLOCK] for start in range(0, len(pictures), _BLOCK)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return np.concatenate(list(pool.map(work, blocks)))
