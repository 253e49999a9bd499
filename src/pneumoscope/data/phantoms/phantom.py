"""Phantoms: labelled synthetic chest radiographs, for demos and tests that need no patient's image.

NumPy draws them from (seed, index) alone, so that a test can draw hundreds, knows every lung and opacity to the pixel,
and gets the same ones tomorrow. They show that the program works, never that a model is good on patients. Every phantom
therefore says SYNTHETIC, in its pixels, its file and its manifest row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import UsageError
from pneumoscope.core.labels import check_label, is_none_label
from pneumoscope.core.registry import suggestion
from pneumoscope.data.phantoms.anatomy import Pose, new_patient, new_pose, project
from pneumoscope.data.phantoms.opacity import draw_opacity, region_mask
from pneumoscope.data.phantoms.shapes import make_grid
from pneumoscope.data.phantoms.source import SOURCES, expose, mark

# The purpose of each stream of random numbers. The streams are separate, so that a change in one affects no other.
_PATIENT, _DISEASE, _SEVERITY, _COURSE, _POSE, _NOISE, _MARKS, PLAN = range(8)


@dataclass(frozen=True, slots=True)
class Phantom:
    """One synthetic radiograph and the truth about it.

    Attributes:
        pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head, column 0 = patient's right.
        lung_mask: [H, W], True where lung is seen (heart and mediastinum left out, opacities kept in).
        opacity_mask: [H, W], True where a reader would outline the opacity; empty for ``normal``.
        label: From the vocabulary.
        patient_id: Names seed and patient; images of one patient share it.
        view: PA, AP or AP Supine.
        sex: F or M.
        age: Years.
        source: A name in ``SOURCES``.
        severity: 0..1, 0 for ``normal``; below about .2 the opacity is subtle.
    """

    pixels: NDArray[np.float32]
    lung_mask: NDArray[np.bool_]
    opacity_mask: NDArray[np.bool_]
    label: str
    patient_id: str
    view: str
    sex: str
    age: int
    source: str
    severity: float


def draw(
    seed: int,
    index: int,
    label: str,
    size: int | tuple[int, int] = 512,
    source: str = "synthetic-a",
    *,
    patient: int | None = None,
    view: str | None = None,
) -> Phantom:
    """Draw one phantom; the same arguments give the same pixels.

    Pose, noise and the shape of the opacity's edges come from ``(seed, index)``, the anatomy and the disease's course
    from ``(seed, patient)``; neither depends on the label, so that two labels at one index differ in the lungs only.

    Args:
        seed: Of the set, 0 or more.
        index: Of the image in the set, 0 or more.
        label: From the vocabulary.
        size: Height and width in pixels, or one number for both; 32 or more.
        source: A name in ``SOURCES``.
        patient: Number of the patient, so that several images can share one; by default the image's own.
        view: PA, AP or AP Supine; by default drawn at random, mostly PA, whatever the label.

    Raises:
        LabelError: The label is not in the vocabulary.
        UsageError: An unknown source or view, a size or number out of range.
    """
    check_label(label, "phantom")
    check_source(source)
    height, width = (size, size) if isinstance(size, int) else size
    number = index if patient is None else patient
    _check_numbers(seed, index, number, height, width)

    person = new_patient(stream(seed, _PATIENT, number))
    pose = _pose(stream(seed, _POSE, index), view)
    grid = make_grid(height, width, pose.scale, pose.angle, pose.shift)
    body = project(person, pose, grid)

    usual = float(stream(seed, _SEVERITY, number).beta(1.3, 1.6))
    course = stream(seed, _COURSE, number, index)
    severity = 0.0 if is_none_label(label) else float(np.clip(usual + course.normal(0, 0.12), 0.02, 1.0))
    opacity = draw_opacity(label, stream(seed, _DISEASE, number), severity, grid, body)

    noise = stream(seed, _NOISE, index)
    gain = float(np.exp(noise.normal(0, 0.13)))
    attenuation = body.solid - body.air * (1 - np.clip(opacity.fill, 0, 0.95))
    camera = SOURCES[source]
    picture = expose(np.maximum(attenuation, 0), camera, gain, pose.view, grid, noise)
    return Phantom(
        pixels=mark(picture, camera, pose.view, stream(seed, _MARKS, index)),
        lung_mask=body.lungs,
        opacity_mask=region_mask(opacity, body.lungs),
        label=label,
        patient_id=f"synthetic-{seed}-{number:05d}",
        view=pose.view,
        sex=person.sex,
        age=person.age,
        source=source,
        severity=severity,
    )


def check_source(name: str) -> None:
    """Raise an error unless the source can be drawn.

    Raises:
        UsageError: The name is not in ``SOURCES``.
    """
    if name not in SOURCES:
        raise UsageError("source", f"{name!r} is unknown.{suggestion(name, SOURCES)}", f"One of {', '.join(SOURCES)}.")


def stream(seed: int, purpose: int, *numbers: int) -> np.random.Generator:
    """Return the random numbers for one purpose of one patient or image."""
    return np.random.default_rng([seed, purpose, *numbers])


def _pose(rng: np.random.Generator, view: str | None) -> Pose:
    """Draw a pose; the view is drawn even if it is given, so that it alone changes."""
    drawn = str(rng.choice(["PA", "AP", "AP Supine"], p=[0.65, 0.2, 0.15]))
    if view is not None and view not in ("PA", "AP", "AP Supine"):
        raise UsageError("view", f"{view!r} cannot be drawn.", "One of PA, AP, AP Supine.")
    return new_pose(rng, view or drawn)


def _check_numbers(seed: int, index: int, patient: int, height: int, width: int) -> None:
    """Raise an error for numbers and sizes that cannot be drawn."""
    for name, value in (("seed", seed), ("index", index), ("patient", patient)):
        if value < 0:
            raise UsageError(name, f"{value} is negative; random streams are numbered from 0.")
    if min(height, width) < 32:
        raise UsageError("size", f"{height} x {width} pixels: a phantom needs 32 or more a side.")
