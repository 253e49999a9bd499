"""Pictures for people: a heatmap over a radiograph, the outline of a lung or ignore mask, as 8-bit RGB and PNG.

It needs only NumPy and Pillow, so that `predict --heatmaps` starts fast. Where the heat is zero the radiograph stays
unchanged: an overlay shows the evidence of the model and hides nothing else.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.core.files import atomic_path

RGB = NDArray[np.uint8]

# Nine stops of "inferno" (Smith and van der Walt, CC0): even in perception, readable by the colour-blind and in grey.
_STOPS = (
    (0, 0, 4),
    (31, 12, 72),
    (85, 15, 109),
    (136, 34, 106),
    (186, 54, 85),
    (227, 89, 51),
    (249, 140, 10),
    (249, 201, 50),
    (252, 255, 164),
)
LUNG = (80, 220, 255)
IGNORE = (255, 90, 200)
HEART = (255, 120, 90)


def to_rgb(pixels: NDArray[np.float32]) -> RGB:
    """Return a radiograph, [H, W] in 0..1, as [H, W, 3] uint8."""
    grey = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def colour_heat(heat: NDArray[np.float32]) -> RGB:
    """Return the colours, [H, W, 3] uint8, of heat in 0..1: dark violet to pale yellow."""
    stops = np.array(_STOPS, np.float64)
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.rint(np.interp(heat, places, stops[:, c])) for c in range(3)], axis=-1).astype(np.uint8)


def overlay_heat(pixels: NDArray[np.float32], heatmap: NDArray[np.float32], *, strength: float = 0.6) -> RGB:
    """Return a radiograph with a heatmap over it, [H, W, 3] uint8.

    Args:
        pixels: [H, W] in 0..1.
        heatmap: [h, w] in 0..1, of any size; stretched over the whole radiograph, bilinear.
        strength: Opacity where the heat is 1; it falls to 0 with the heat.
    """
    height, width = pixels.shape
    small = Image.fromarray(np.ascontiguousarray(heatmap, np.float32))
    heat = np.clip(np.asarray(small.resize((width, height), Image.Resampling.BILINEAR)), 0, 1)
    weight = (strength * heat)[:, :, np.newaxis]
    mixed: RGB = np.rint(to_rgb(pixels) * (1 - weight) + colour_heat(heat) * weight).astype(np.uint8)
    return mixed


def outline_mask(rgb: RGB, mask: NDArray[np.bool_], *, colour: tuple[int, int, int] = LUNG, thickness: int = 2) -> RGB:
    """Return a copy of a picture with the inner edge of a mask drawn on it.

    Args:
        rgb: [H, W, 3] uint8.
        mask: [h, w] of truth values; of another size than the picture it is stretched, nearest neighbour.
        colour: Red, green, blue.
        thickness: In pixels of the picture.
    """
    height, width = rgb.shape[:2]
    inside = np.asarray(mask, np.bool_)
    if inside.shape != (height, width):
        stretched = Image.fromarray(inside.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
        inside = np.asarray(stretched, np.bool_)
    core = inside
    for _ in range(thickness):
        # Where the mask reaches the border of the picture it has no edge there.
        padded = np.pad(core, 1, mode="edge")
        core = core & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    out = rgb.copy()
    out[inside & ~core] = colour
    return out


def shrink(rgb: RGB, longest: int) -> RGB:
    """Return a picture whose longer side is at most ``longest`` pixels; it is never enlarged."""
    height, width = rgb.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def encode_rgb(rgb: RGB) -> bytes:
    """Return a picture as PNG."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def write_png(path: Path, rgb: RGB) -> None:
    """Write a picture as PNG, complete or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode_rgb(rgb))
