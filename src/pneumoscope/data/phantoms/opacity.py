"""The opacity of each label in a phantom's lungs: how much of their air it replaces, and where.

The patterns are textbook caricatures, each with wide variation and subtle cases; they are not a model of disease.

| label | pattern |
|---|---|
| covid-19 | patchy ground glass, both lungs, peripheral, lower zones |
| viral-pneumonia | diffuse interstitial (reticular) pattern in both lungs, more around the hila |
| bacterial-pneumonia | one lobe (seldom two) consolidated, with air bronchograms |
| pneumonia | either of the two above |
| lung-opacity | nodules or a mass, or a pleural effusion |
| other | plate-like bands (atelectasis) |
| normal | nothing |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pneumoscope.data.phantoms.anatomy import Body, branches
from pneumoscope.data.phantoms.shapes import Array, Grid, ellipse, step


@dataclass(frozen=True, slots=True)
class Opacity:
    """An opacity, all [H, W].

    Attributes:
        fill: Share 0..1 of the lung's air that is replaced.
        region: 0..1, where a reader would outline it: the pattern's envelope, without its fine texture.
    """

    fill: Array
    region: Array


LOBES = (
    (-1, 0.36, -0.22, -1),  # right upper
    (-1, 0.32, 0.14, 1),  # right middle
    (-1, 0.40, 0.24, 0),  # right lower
    (1, 0.38, -0.26, -1),  # left upper
    (1, 0.46, 0.22, 0),  # left lower
)
"""Side, distance from the midline, y, and whether it ends above (-1) or below (1) a fissure that shows."""

Pattern = Callable[[np.random.Generator, float, Grid, Body], Opacity]


def draw_opacity(label: str, rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    """Draw the opacity that ``label`` stands for; ``severity`` 0..1, below about .2 subtle."""
    return PATTERNS.get(label, PATTERNS["other"])(rng, severity, grid, body)


def _nothing(rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    none = np.zeros_like(grid.x)
    return Opacity(none, none)


def _ground_glass(rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    """Patches along the chest wall, at least one in each lung."""
    count = int(rng.integers(3, 5) + round(4 * severity))
    ragged = grid.cloud(rng, (18, 0.34), (44, 0.22))
    region = np.zeros_like(grid.x)
    for number in range(count):
        side = (-1, 1)[number % 2]
        place = (side * rng.uniform(0.42, 0.64), rng.beta(3, 2) * 0.75 - 0.38)
        radius = rng.uniform(0.09, 0.15) + 0.09 * severity
        patch = ellipse(grid.x, grid.y, place, (radius * rng.uniform(1.0, 1.6), radius), rng.uniform(-0.3, 0.3) + 1.4)
        patch = step(patch / radius + 0.10 + ragged, 0.55) * rng.uniform(0.7, 1.0)
        region = np.maximum(region, patch)
    peripheral = step(body.lateral - 0.50, 0.22) * (0.45 + 0.55 * step(body.level - 0.45, 0.25))
    region = region * peripheral
    grain = 1 + grid.cloud(rng, (80, 0.20), (36, 0.12))
    return Opacity(region * (0.22 + 0.50 * severity) * grain, region)


def _reticular(rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    """A net of thickened septa with a veil, denser around the hila."""
    net = np.zeros_like(grid.x)
    for cells, weight in ((30, 0.55), (52, 0.6), (90, 0.45)):
        net += weight * np.exp(-(grid.cloud(rng, (cells, 3.3)) ** 2))  # the ridges where the noise crosses zero
    cuffs = grid.strokes([(line, 1.7 * width, s) for side in (-1, 1) for line, width, s in branches(rng, side)])
    hilar = np.exp(-(((body.lateral - 0.25) / 0.45) ** 2) - ((body.level - 0.6) / 0.42) ** 2)
    spread = np.clip(0.40 + 0.75 * hilar + grid.cloud(rng, (6, 0.20)), 0.1, 1.25)
    region = spread * step(body.edge - 0.015, 0.02)
    fill = region * (0.16 + 0.36 * severity) * (0.28 + 0.62 * net + 0.5 * cuffs)
    return Opacity(fill, region)


def _lobar(rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    """Fill a lobe, sharply up to its fissure and fading elsewhere, and leave the bronchi in it open."""
    lobes = rng.choice(5, size=2 if severity > 0.75 and rng.random() < 0.5 else 1, replace=False)
    ragged = grid.cloud(rng, (9, 0.055), (30, 0.03))
    region = np.zeros_like(grid.x)
    for lobe in lobes.tolist():
        side, out, y, fissure = LOBES[lobe]
        centre = (side * (out + rng.normal(0, 0.04)), y + rng.normal(0, 0.04))
        radius = rng.uniform(0.13, 0.20) + 0.16 * severity
        ball = ellipse(grid.x, grid.y, centre, (1.35 * radius, radius), side * rng.uniform(-0.4, 0.4))
        filled = step(ball + ragged, 0.075)
        if fissure:  # the horizontal fissure (on the left, the upper edge of what looks the same)
            line = 0.04 + rng.normal(0, 0.03) + rng.normal(0, 0.12) * (side * grid.x - 0.35) + 0.1 * ragged
            filled *= step(fissure * (grid.y - line), 0.014)
        region = np.maximum(region, filled)
    region *= 0.88 + np.clip(grid.cloud(rng, (14, 0.12)), -0.12, 0.12)
    bronchi = grid.strokes([(line, 0.8 * width, s) for side in (-1, 1) for line, width, s in branches(rng, side, 3)])
    open_airways = 1 - 0.45 * np.clip(1.3 * bronchi, 0, 1)
    grain = 1 + grid.cloud(rng, (60, 0.10))
    return Opacity(region * (0.42 + 0.45 * severity) * open_airways * grain, region)


def _focal(rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    """Nodules, a mass, or fluid in the pleural space."""
    if rng.random() < 0.4:
        return _effusion(rng, severity, grid, body)
    ragged = grid.cloud(rng, (40, 0.10), (90, 0.07))
    region = np.zeros_like(grid.x)
    for _ in range(int(rng.integers(1, 4))):
        radius = rng.uniform(0.040, 0.060) + 0.09 * severity * rng.random()
        place = (int(rng.choice((-1, 1))) * rng.uniform(0.26, 0.56), rng.uniform(-0.5, 0.28))
        blob = ellipse(grid.x, grid.y, place, (radius * rng.uniform(1.0, 1.3), radius), rng.uniform(0, math.pi))
        region = np.maximum(region, step(blob / radius + 0.05 + ragged, 0.30))
    return Opacity(region * (0.34 + 0.32 * severity), region)


def _effusion(rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    """Fluid on one side (seldom both), its surface rising towards the chest wall (meniscus)."""
    side = int(rng.choice((-1, 1)))
    both = rng.random() < 0.25
    height = 0.10 + 0.38 * severity * rng.uniform(0.7, 1.0)
    surface = 1.08 - height * (0.20 + 0.95 * np.clip(body.lateral, 0, 1) ** 3) + grid.cloud(rng, (10, 0.012))
    region = step(body.level - surface, 0.035)
    if not both:
        region = region * (side * grid.x > 0)
    return Opacity(0.86 * region, region)


def _bands(rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    """Plates of collapsed lung: nearly level streaks above the diaphragm."""
    lines = []
    for _ in range(int(rng.integers(1, 3) + round(3 * severity))):
        side = int(rng.choice((-1, 1)))
        start = np.array([side * rng.uniform(0.20, 0.32), rng.uniform(-0.06, 0.20)])
        length, slope = rng.uniform(0.18, 0.34), rng.normal(0, 0.25)
        t = np.linspace(0, 1, 6)
        points = start + np.stack([side * length * t, length * slope * t + 0.03 * np.sin(3 * t)], -1)
        lines.append((points, rng.uniform(0.014, 0.026) * (1 + 0.5 * severity), 1.0))
    region = grid.strokes(lines, blur=0.012)
    return Opacity(region * (0.32 + 0.4 * severity), region)


def _either(rng: np.random.Generator, severity: float, grid: Grid, body: Body) -> Opacity:
    return (_reticular if rng.random() < 0.5 else _lobar)(rng, severity, grid, body)


PATTERNS: Mapping[str, Pattern] = MappingProxyType(
    {
        "covid-19": _ground_glass,
        "normal": _nothing,
        "viral-pneumonia": _reticular,
        "bacterial-pneumonia": _lobar,
        "pneumonia": _either,
        "lung-opacity": _focal,
        "other": _bands,
    }
)
"""Label -> pattern; a label without one of its own is drawn as ``other``."""


def region_mask(opacity: Opacity, lungs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the opacity would be outlined: inside the lungs, its envelope above a third."""
    return (opacity.region > 0.33) & lungs
