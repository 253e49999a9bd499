"""Prints what Python computes of formula-made pictures, which the browser's code must compute too (vitest).

The pictures are made by the same formulas in web/src/device/python-values.test.ts, so that no file of pixels is needed.
"""

import json

import numpy as np
from PIL import Image

from pneumoscope.bundle.body_parts import body_part_of
from pneumoscope.bundle.chest_layout import measure_layout
from pneumoscope.bundle.frame import trim_frame, turn_back
from pneumoscope.bundle.heat import is_active_outside
from pneumoscope.bundle.lung_parts import remove_specks
from pneumoscope.bundle.lung_shape import measure_lung_shape
from pneumoscope.bundle.lungs import LungOutlines
from pneumoscope.imaging.border import Border, find_border
from pneumoscope.imaging.colour import measure_colour


def texture(width, height):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return (((x * 7 + y * 13 + (x * y) % 17) % 97) / 96).astype(np.float32)


def framed(width, height, top, bottom, left, right, grey):
    pixels = np.full((height + top + bottom, width + left + right), grey, np.float32)
    pixels[top : top + height, left : left + width] = texture(width, height)
    return pixels


def ellipses(side, shapes):
    """Return a smooth mask: the largest of 1 / (1 + d**4) over ellipses (x, y, rx, ry, degrees), all shares."""
    x, y = np.meshgrid((np.arange(side) + 0.5) / side, (np.arange(side) + 0.5) / side)
    mask = np.zeros((side, side))
    for cx, cy, rx, ry, degrees in shapes:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        u, v = ((x - cx) * c + (y - cy) * s) / rx, (-(x - cx) * s + (y - cy) * c) / ry
        mask = np.maximum(mask, 1 / (1 + (u * u + v * v) ** 2))
    return mask.astype(np.float32)


def sample(values):
    flat = np.asarray(values, np.float64).ravel()
    return [round(float(value), 6) for value in flat[:: max(1, flat.size // 23)]] + [round(float(flat.sum()), 3)]


PAIR = [(0.3, 0.45, 0.13, 0.3, 6), (0.72, 0.47, 0.12, 0.27, -6)]
LAYOUTS = {
    "upright": PAIR,
    "turned": [(0.36, 0.36, 0.12, 0.27, 32), (0.66, 0.57, 0.12, 0.27, 30)],
    "stacked": [
        (0.3, 0.25, 0.12, 0.15, 0),
        (0.7, 0.25, 0.12, 0.15, 0),
        (0.3, 0.7, 0.12, 0.15, 0),
        (0.7, 0.7, 0.1, 0.15, 0),
    ],
    "one": [(0.4, 0.5, 0.15, 0.3, 0)],
    "cut": [(0.25, 0.1, 0.14, 0.3, 0), (0.75, 0.1, 0.14, 0.3, 0), (0.5, 0.9, 0.02, 0.02, 0)],
    "none": [],
}
FRAMES = [
    (200, 160, 0, 0, 0, 0, 0.0),
    (200, 160, 30, 30, 0, 0, 0.0),
    (200, 160, 30, 0, 0, 0, 0.0),
    (300, 220, 20, 25, 40, 35, 0.6),
    (90, 80, 200, 200, 200, 200, 0.5),
]
LAYOUT_NAMES = (
    *("stacked", "crossed", "likeness", "heart_offset", "balance", "black", "upper", "lower", "sides"),
    "turn",
)
TERMS = [
    "CHEST", "chest pa", "Thorax", "ABDOMEN", "T-SPINE", "BRUSTWIRBELSÄULE", "HEART", "T-D3000", "NOT CHEST", "胸部",
    "胸椎", "Грудная клетка", "", "UNKNOWN", "XYZ", "HAND", "THORACOLUMBAR", "PIE", "Pecho",
]  # fmt: skip

picture = Image.fromarray(texture(150, 90))
border = Border(10, 4, 6, 0)
layouts = {}
for name, shapes in LAYOUTS.items():
    masks = np.stack([ellipses(96, shapes), ellipses(96, [(0.55, 0.6, 0.12, 0.12, 0)] if shapes else [])])
    outlines = LungOutlines(masks, ("lungs", "heart"), (300, 240))
    shape = measure_lung_shape(outlines.square("lungs"))
    layout = measure_layout(texture(240, 300), outlines, shape)
    heat = ellipses(7, [(0.3, 0.4, 0.2, 0.2, 0)]), ellipses(7, [(0.95, 0.95, 0.2, 0.2, 0)])
    layouts[name] = {
        "shapes": shapes,
        "shape": {key: round(value, 6) for key, value in shape.values().items()},
        "layout": [round(float(getattr(layout, key)), 5) for key in LAYOUT_NAMES],
        "parts": int(remove_specks(outlines.square("lungs")).sum()),
        "outside": [is_active_outside(one, outlines) for one in heat],
    }
canvas = np.full((160, 180), 0.05, np.float32)
canvas[40:120, 50:130] = texture(80, 80)
x, y = np.meshgrid(np.arange(130), np.arange(110))
colours = np.stack([(x + y) % 256, (x * 2) % 256, (y * 3) % 256], -1).astype(np.uint8)
alpha = ((x * 5 + y) % 256).astype(np.uint8)
print(
    json.dumps(
        {
            "resize": {
                name: sample(picture.resize((48, 48), getattr(Image.Resampling, name.upper())))
                for name in ("box", "bilinear", "bicubic")
            },
            "rotate": {str(angle): sample(picture.rotate(angle, Image.Resampling.BILINEAR)) for angle in (17, -35, 50)},
            "colour": [
                measure_colour(Image.fromarray(colours)).get("colour_share", 0),
                measure_colour(Image.fromarray(np.dstack([colours, alpha]))).get("colour_share", 0),
            ],
            "frames": [
                {
                    "frame": each,
                    "border": list(find_border(framed(*each))),
                    "trimmed": list(trim_frame(framed(*each)).shape),
                }
                for each in FRAMES
            ],
            "spread": sample(border.spread(texture(7, 7), (64, 80), (28, 28))),
            "turnBack": [[degrees, list(inside.shape), sample(inside)[-1]] for degrees, inside in turn_back(canvas)],
            "layouts": layouts,
            "terms": {term: body_part_of(term) for term in TERMS},
        },
        ensure_ascii=False,
        indent=1,
    )
)
