"""The body of a phantom: the patient, the pose, and the tissue that X-rays pass through.

Lengths are in the body units of ``shapes.py``. Attenuation adds up along a ray: 0 = air, about 1 = the trunk's soft
tissue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumoscope.data.phantoms.shapes import Array, Grid, Polyline, curve, ellipse, melt, rounded, step


@dataclass(frozen=True, slots=True)
class Patient:
    """The features that all images of a patient share. Lengths are in body units."""

    sex: str
    age: int
    width: float  # half width of the rib cage
    apex: float  # y of the lungs' upper end
    base: float  # y of the diaphragm at full breath
    dome: float  # how far the diaphragm bulges
    flesh: float  # thickness of the chest wall, 1 = average
    bone: float  # density of the bones, 1 = average
    heart: float  # size, 1 = average
    heart_tilt: float  # radians, long axis below the horizontal
    knob: float  # bulge of the aortic arch
    rib_pitch: float
    rib_tilt: float
    rib_start: float
    bend: float  # sideways bend of the spine
    breast: float  # 0 = none
    bubble: tuple[float, float, float]  # gas in the stomach: x, depth under the dome, size
    texture: int  # seed of the tissue's texture and of the vessels' tree


@dataclass(frozen=True, slots=True)
class Pose:
    """The features that differ between images of one patient."""

    view: str
    scale: float
    angle: float  # radians, in the image plane
    shift: tuple[float, float]
    turn: float  # of the patient about the vertical: moves the midline against the ribs
    breath: float  # 0 = full inspiration; the diaphragm stands that much higher
    heart_scale: float  # AP magnifies the heart
    arms: float  # how far the shoulder blades lie over the lungs


@dataclass(frozen=True, slots=True)
class Body:
    """The tissue in the rays' way, all [H, W].

    Attributes:
        solid: Attenuation of the whole body, as if the lungs held no air.
        air: Attenuation that the lungs' air removes; an opacity fills part of it.
        lungs: True where lung is seen, heart and mediastinum left out.
        lateral: 0 at the midline .. 1 at the chest wall.
        level: 0 at the apex, 1 at the top of the left dome; the angles lie deeper.
        edge: Distance into the lung from the chest wall or apex, body units.
    """

    solid: Array
    air: Array
    lungs: NDArray[np.bool_]
    lateral: Array
    level: Array
    edge: Array


def new_patient(rng: np.random.Generator) -> Patient:
    """Draw a patient at random."""
    sex = "F" if rng.random() < 0.5 else "M"
    age = int(np.clip(round(rng.normal(56, 17)), 18, 92))
    return Patient(
        sex=sex,
        age=age,
        width=rng.uniform(0.68, 0.77) - (0.02 if sex == "F" else 0.0),
        apex=rng.uniform(-0.80, -0.72),
        base=rng.uniform(0.40, 0.56),
        dome=rng.uniform(0.08, 0.15),
        flesh=rng.uniform(0.80, 1.25),
        bone=rng.uniform(0.80, 1.15) - 0.003 * max(0, age - 60),
        heart=rng.uniform(0.86, 1.10) + 0.001 * (age - 50),
        heart_tilt=rng.uniform(0.45, 0.85),
        knob=rng.uniform(0.015, 0.05) + 0.0006 * max(0, age - 40),
        rib_pitch=rng.uniform(0.118, 0.136),
        rib_tilt=rng.uniform(0.15, 0.22),
        rib_start=rng.uniform(0.0, 1.0),
        bend=rng.normal(0, 0.012),
        breast=rng.uniform(0.35, 1.0) if sex == "F" else 0.0,
        bubble=(rng.uniform(0.28, 0.42), rng.uniform(0.06, 0.12), rng.uniform(0.0, 0.12)),
        texture=int(rng.integers(2**32)),
    )


def new_pose(rng: np.random.Generator, view: str) -> Pose:
    """Draw how a patient stands (PA) or lies (AP, AP Supine) for one image."""
    bed = view != "PA"
    return Pose(
        view=view,
        scale=rng.uniform(0.98, 1.16),
        angle=rng.normal(0, 0.035 if bed else 0.018),
        shift=(rng.normal(0, 0.03), rng.normal(0.0, 0.03)),
        turn=rng.normal(0, 0.03 if bed else 0.012),
        breath=rng.uniform(0.03, 0.14) if bed else rng.uniform(0.0, 0.05),
        heart_scale=rng.uniform(1.06, 1.16) if bed else 1.0,
        arms=rng.uniform(0.5, 1.0) if bed else rng.uniform(0.0, 0.4),
    )


def project(patient: Patient, pose: Pose, grid: Grid) -> Body:
    """Project the patient onto the image: see ``Body``."""
    rng = np.random.default_rng(patient.texture)
    p, x, y = patient, grid.x, grid.y
    middle = x - p.bend * np.sin(3 * y) - pose.turn  # spine and mediastinum
    ax = np.abs(x)

    # Lungs: a superellipse each, cut by the diaphragm, the mediastinum and the heart.
    centre, half = 0.52 * p.width, 0.48 * p.width
    widest = 0.05
    up = np.maximum((widest - y) / (widest - p.apex), 0)
    up2 = up * up
    flare = 1 + 0.05 * np.clip(y - widest, 0, 1)
    v = (ax - centre) / (half * flare)
    v2 = v * v
    edge = (1 - np.sqrt(v2 * np.sqrt(np.abs(v)) + up2)) * half * (1 + 0.8 * np.minimum(up, 1))
    base = p.base - pose.breath
    highest = v + 0.1
    dome = np.where(x < 0, np.float32(base - 0.045), np.float32(base))
    dome += np.where(highest > 0, np.float32(1.2 * p.dome) * highest, np.float32(0.5 * p.dome)) * highest * highest
    above = 0.85 * (dome - y)
    shadow = _mediastinum(p, pose, middle, y, base)
    inside = np.minimum(np.minimum(edge, above), -shadow)

    cage = centre + half * np.sqrt(np.clip(1 - up2, 0.02, 1)) * flare + 0.025
    lateral = ax / cage
    presence = step(inside, 0.010)
    air = presence * np.sqrt(np.clip(edge / 0.24, 0, 1)) * (0.65 - 0.035 * p.flesh)
    trunk = _trunk(p, x, y)
    solid = trunk * (0.82 + 0.16 * p.flesh)
    deep = np.maximum(-above, 0)
    solid += (0.42 * step(deep - 0.006, 0.012)) * (1 - np.exp(deep * -5)) * np.minimum(trunk, 1)
    solid += 0.10 * step(shadow, 0.02) * step(above + 0.05, 0.05) + 0.10 * np.sqrt(np.clip(shadow, 0, 0.25))
    texture = 1 + grid.cloud(rng, (60, 0.07))
    bones = 0.155 * _ribs(p, x, y, lateral) + _shoulders(pose, grid)
    strip = np.flatnonzero((np.abs(middle) < 0.2).any(axis=0))  # the spine needs no more columns than these
    if strip.size:
        near = slice(int(strip[0]), int(strip[-1]) + 1)
        bones[:, near] += _spine(p, middle[:, near], y[:, near])
    solid += p.bone * bones * texture
    air *= 1 - 0.27 * _vessels(grid, rng)
    solid -= _gas(p, grid, rng, middle, dome)
    if p.breast:
        solid += _breasts(p, x, y)
    solid += trunk * grid.cloud(rng, (7, 0.03), (24, 0.018)) * (1 - 0.6 * presence)
    air *= 1 + grid.cloud(rng, (9, 0.06), (44, 0.04))
    level = (y - p.apex) / (base - p.apex)
    return Body(np.maximum(solid, 0), air, inside > 0, lateral, level, edge)


def _mediastinum(p: Patient, pose: Pose, x: Array, y: Array, base: float) -> Array:
    """Return the distance into the shadow of great vessels and heart, positive inside."""
    right = curve(y, [(-1.2, 0.10), (-0.7, 0.115), (-0.45, 0.125), (-0.1, 0.125), (0.2, 0.13), (1.2, 0.12)])
    knob = 0.12 + p.knob
    left_knots = [(-1.2, 0.10), (-0.7, 0.10), (-0.48, 0.12), (-0.36, knob), (-0.27, knob), (-0.19, 0.130)]
    left = curve(y, [*left_knots, (-0.08, 0.150), (0.05, 0.16), (0.3, 0.15), (1.2, 0.12)])
    great = np.where(x < 0, right, left) - np.abs(x)
    size = p.heart * pose.heart_scale
    low = base - 0.18  # the heart lies on the diaphragm
    ventricle = ellipse(x, y, (0.17 * size, low), (0.36 * size, 0.205 * size), p.heart_tilt)
    atrium = ellipse(x, y, (-0.045 * size, low + 0.02), (0.15 * size, 0.22 * size))
    return melt(melt(ventricle, atrium, 0.03), great, 0.05)


def _trunk(p: Patient, x: Array, y: Array) -> Array:
    """Return soft tissue: neck, shoulders and trunk, 1 in the middle, 0 in the air outside."""
    wall = p.width + 0.045 + 0.075 * p.flesh
    neck = 0.25 * math.sqrt(p.flesh) + 0.02
    knots = [(-1.6, neck + 0.05), (-1.05, neck), (-0.92, neck + 0.06), (-0.82, 0.52), (-0.74, 0.76), (-0.64, 0.98)]
    knots += [(-0.50, 1.14), (-0.30, 1.10), (-0.10, wall + 0.07), (0.1, wall + 0.02), (0.6, wall), (1.6, wall + 0.04)]
    reach = x / curve(y, knots)
    thick = np.sqrt(np.maximum(1 - reach * reach, 0))
    return np.sqrt(thick) * curve(y, [(-1.6, 0.66), (-0.85, 0.70), (-0.5, 0.90), (0.2, 1.0), (1.6, 1.0)])


def _ribs(p: Patient, x: Array, y: Array, lateral: Array) -> Array:
    """Return the ribs: tilted rings, so their back halves arch above and their front halves sag below."""
    inside = np.sqrt(np.clip(1 - lateral * lateral, 0, 1))
    grazing = 0.62 + 0.40 * np.exp(-inside / 0.28)  # rays graze the ring at the side: more bone on their way
    tilt = p.rib_tilt * (0.75 + 0.35 * np.clip(y + 0.6, 0, 1.4))
    start = y / p.rib_pitch + np.where(x < 0, np.float32(p.rib_start), np.float32(p.rib_start + 0.08))
    total = np.zeros_like(x)
    for front, strength, half in ((False, 1.0, 0.27), (True, 0.70, 0.30)):
        ring = -1.25 * tilt * inside if front else 0.95 * tilt * inside + 0.03 * (1 - lateral)
        phase = start + ring / p.rib_pitch + (0.5 if front else 0)
        off = np.abs(phase - np.floor(phase) - 0.5) / half
        profile = step(1 - off, 0.20) * (0.66 + 0.38 * off * off)  # a rib is a pipe: its walls are denser
        if front:  # cartilage, which does not show, takes over towards the sternum
            profile *= step(lateral - 0.52 + 0.12 * np.clip(y, -0.5, 0.5), 0.12)
        total += strength * profile
    total *= grazing * step(1.02 - lateral, 0.02) * step(lateral - 0.09, 0.03)
    return total * step(y - p.apex + 0.06, 0.05) * (1 - 0.55 * step(y - p.base - 0.05, 0.25))


def _shoulders(pose: Pose, grid: Grid) -> Array:
    """Return clavicles, shoulder blades and upper arms."""
    lift = 0.03 if pose.view != "PA" else 0.0
    out = 0.09 * (1 - 1.5 * pose.arms)
    lines: list[Polyline] = []
    flat: list[tuple[NDArray[np.float64], float]] = []
    for side in (-1, 1):
        s_shape = [(0.07, -0.60), (0.22, -0.625 - lift), (0.40, -0.69 - lift), (0.58, -0.735 - lift)]
        clavicle = rounded([*s_shape, (0.72, -0.72 - lift), (0.90, -0.69 - lift)], closed=False)
        clavicle = clavicle * [side, 1] + [0.6 * pose.turn, 0.006 * side]
        lines += [(clavicle, 0.064, 0.75), (clavicle, 0.034, 0.62)]  # the later, thinner line is the marrow
        border = [(0.60, -0.60), (0.575, -0.42), (0.60, -0.20), (0.66, 0.0), (0.72, -0.12), (0.83, -0.38)]
        blade = rounded([*border, (0.94, -0.50), (0.90, -0.62), (0.74, -0.57)]) * [side, 1] + [side * out, 0]
        lines += [(blade, 0.014, 0.22)]
        arm = np.array([(1.02, -0.5), (1.06, -0.2), (1.16, 0.7)]) * [side, 1]
        lines += [(arm, 0.11, 0.65)]
        head = rounded([(0.90, -0.66), (1.12, -0.66), (1.12, -0.42), (0.90, -0.42)]) * [side, 1]
        flat += [(blade, 0.35), (head, 1.0)]
    return 0.10 * grid.blots(flat, blur=0.008) + 0.22 * grid.strokes(lines, blur=0.004)


def _spine(p: Patient, x: Array, y: Array) -> Array:
    """Return the vertebrae and the breastbone; ``x`` is counted from the spine's middle."""
    pitch = 0.088 + 0.030 * np.clip(y + 1, 0, 2)  # vertebrae grow downwards
    phase = y / pitch + p.rib_start
    off = np.abs(phase - np.floor(phase) - 0.5)  # 0 mid-vertebra, .5 in the disc
    aside = np.abs(x)
    across = aside / (0.062 + 0.022 * np.clip(y + 0.8, 0, 1.6))
    pedicle = np.exp(-(((across - 0.62) / 0.16) ** 2) - ((off - 0.12) / 0.10) ** 2)
    spinous = np.exp(-((across / 0.16) ** 2) - ((off - 0.2) / 0.16) ** 2)
    column = step(0.95 - across + 0.10 * off, 0.10)
    column *= 0.135 - 0.07 * step(off - 0.40, 0.06) + 0.05 * pedicle + 0.05 * spinous
    return column + 0.03 * step(0.13 - aside, 0.02) * step(-0.25 - y, 0.1) * step(y + 0.62, 0.03)


def branches(rng: np.random.Generator, side: int, generations: int = 4) -> list[Polyline]:
    """Grow the tree of one lung's vessels (or bronchi) from its hilum; ``side`` -1 is the patient's right."""
    hilum = np.array([side * 0.15, -0.075 if side < 0 else -0.11])
    starts = np.tile(hilum, (8, 1)) + rng.normal(0, 0.02, (8, 2))
    angles = np.deg2rad(np.linspace(-82, 84, 8)) + rng.normal(0, 0.14, 8)  # from up through lateral to down
    width, length, strength = 0.021, 0.16, 1.0
    lines: list[Polyline] = []
    for _ in range(generations):
        lengths = length * rng.uniform(0.6, 1.4, len(angles))
        headings = angles[:, None] + rng.normal(0, 0.26, (len(angles), 3)).cumsum(axis=1)
        steps = np.stack([side * np.cos(headings), np.sin(headings)], -1) * lengths[:, None, None] / 3
        points = np.concatenate([starts[:, None], starts[:, None] + steps.cumsum(axis=1)], axis=1)
        lines += [(line, width, strength) for line in points]
        starts = np.repeat(points[:, -1], 2, axis=0)
        forks = rng.uniform(0.10, 0.65, (len(angles), 2)) * np.array([[-1.0, 1.0]])
        angles = (headings[:, -1:] + forks).ravel()
        width, length, strength = width * 0.62, length * 0.86, strength * 0.72
    return lines


def _vessels(grid: Grid, rng: np.random.Generator) -> Array:
    """Return vessels and hila, 0..about 1."""
    layer = grid.strokes([*branches(rng, -1), *branches(rng, 1)], blur=0.003)
    rough = grid.cloud(rng, (34, 0.5))
    for side, level in ((-1, -0.05), (1, -0.09)):
        hilum = ellipse(grid.x, grid.y, (side * 0.16, level), (0.075, 0.16), side * 0.25)
        layer = layer + 0.55 * step(hilum, 0.07) * (1 + rough)
    return layer


def _gas(p: Patient, grid: Grid, rng: np.random.Generator, middle: Array, dome: Array) -> Array:
    """Return the attenuation that air removes outside the lungs: trachea, main bronchi, stomach, bowel."""
    airway = np.array([(-0.02, -1.6), (-0.012, -0.8), (-0.025, -0.45), (-0.02, -0.20)])
    airway[:, 0] += -p.bend + rng.normal(0, 0.006)
    fork = airway[-1]
    main = [np.array([fork, (-0.13, -0.07)]), np.array([fork, (0.15, -0.12)])]
    layer = 0.17 * grid.strokes([(airway, 0.078, 1.0), (main[0], 0.05, 0.5), (main[1], 0.045, 0.45)], blur=0.006)
    x, depth, size = p.bubble
    under = grid.y - dome - 0.03
    if size > 0.02:
        bubble = np.minimum(ellipse(grid.x, under, (x, depth), (1.5 * size, size)) + grid.cloud(rng, (16, 0.02)), under)
        layer += 0.30 * step(bubble, 0.03)
    bowel = np.clip(grid.cloud(rng, (11, 1.0)) - 1.1, 0, 0.8) * step(under - 0.16, 0.06)
    gas: Array = layer + 0.14 * bowel
    return gas


def _breasts(p: Patient, x: Array, y: Array) -> Array:
    """Return the soft tissue that lies over the lower lungs of a woman."""
    drop = 0.26 + 0.10 * p.breast
    shape = ellipse(np.abs(x), y, (0.44, drop), (0.30, 0.22 + 0.06 * p.breast))
    tissue: Array = 0.10 * p.breast * np.sqrt(np.clip(shape / 0.2, 0, 1))
    return tissue
