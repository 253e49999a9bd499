"""Phantoms: labelled synthetic chest radiographs, for demos and tests that need no patient's image.

They are drawn with NumPy from (seed, index) alone, so a test can ask for hundreds, know every lung and opacity to the
pixel, and get the same ones tomorrow. They prove that the machinery works, never that a model is any good on patients;
hence every one says SYNTHETIC, in its pixels, its file and its manifest row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import sha256_of
from pneumoscope.core.labels import check_label
from pneumoscope.core.registry import suggestion
from pneumoscope.data.fingerprint import perceptual_hash, thumbnail
from pneumoscope.data.phantoms.anatomy import Pose, new_patient, new_pose, project
from pneumoscope.data.phantoms.files import DICOM_BITS, STATEMENT, write_dicom, write_mask, write_png
from pneumoscope.data.phantoms.opacity import draw_opacity, region_mask
from pneumoscope.data.phantoms.shapes import make_grid
from pneumoscope.data.phantoms.source import SOURCES, expose, mark

if TYPE_CHECKING:
    from pneumoscope.data.manifest import Manifest

LICENSE = "CC0-1.0"
PROVENANCE = "drawn by pneumoscope"

# What a stream of random numbers is for. Separate streams, so that a change in one part moves nothing in another.
_PATIENT, _DISEASE, _SEVERITY, _COURSE, _POSE, _NOISE, _MARKS, _PLAN = range(8)


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
    _check_source(source)
    height, width = (size, size) if isinstance(size, int) else size
    number = index if patient is None else patient
    _check_numbers(seed, index, number, height, width)

    person = new_patient(_stream(seed, _PATIENT, number))
    pose = _pose(_stream(seed, _POSE, index), view)
    grid = make_grid(height, width, pose.scale, pose.angle, pose.shift)
    body = project(person, pose, grid)

    usual = float(_stream(seed, _SEVERITY, number).beta(1.3, 1.6))
    course = _stream(seed, _COURSE, number, index)
    severity = 0.0 if label == "normal" else float(np.clip(usual + course.normal(0, 0.12), 0.02, 1.0))
    opacity = draw_opacity(label, _stream(seed, _DISEASE, number), severity, grid, body)

    noise = _stream(seed, _NOISE, index)
    gain = float(np.exp(noise.normal(0, 0.13)))
    attenuation = body.solid - body.air * (1 - np.clip(opacity.fill, 0, 0.95))
    camera = SOURCES[source]
    picture = expose(np.maximum(attenuation, 0), camera, gain, pose.view, grid, noise)
    return Phantom(
        pixels=mark(picture, camera, pose.view, _stream(seed, _MARKS, index)),
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


def write_set(
    folder: Path | str,
    patients_per_class: int = 10,
    labels: Sequence[str] = ("covid-19", "normal", "viral-pneumonia", "lung-opacity"),
    seed: int = 0,
    size: int | tuple[int, int] = 256,
    formats: Sequence[str] = ("png",),
    sources: Sequence[str] = ("synthetic-a", "synthetic-b"),
    *,
    bits: int = 8,
    shortcut: float = 0.0,
    overwrite: bool = False,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Write a set of phantoms: images, masks and ``manifest.parquet``.

    Each patient has one to three images, all of one source and label. Numbers, sources, views, sex and age do not
    depend on the label, unless ``shortcut`` says so. The manifest lists every image once, in the first of the formats.

    Args:
        folder: Where; made if absent. Holds images/, dicom/, masks/lungs/ and masks/opacity/ (where there is one).
        patients_per_class: Patients of each label.
        labels: From the vocabulary.
        seed: Another seed gives other patients.
        size: As in ``draw``.
        formats: ``png``, ``dicom`` or both.
        sources: Names in ``SOURCES``.
        bits: Of the PNG files, 8 or 16.
        shortcut: Share 0..1 of the patients whose source is decided by their label: something for an audit to find.
        overwrite: Write into a folder that is not empty; files of the same names are replaced, others stay.
        tick: Called with (images written, images in all).

    Raises:
        UsageError: The folder is not empty, or an option is out of its range.
        MissingExtraError: DICOM is asked for without pydicom.
    """
    from pneumoscope.data.manifest import Manifest, write_manifest  # here: brings pandas, which drawing does not need

    folder = Path(folder)
    _check_options(patients_per_class, labels, formats, sources, bits, shortcut)
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(str(folder), "is not empty.", "Name another folder, or say --force to write into it.")
    plans = _plan(seed, patients_per_class, labels, sources, shortcut)
    rows = []
    for done, plan in enumerate(plans, 1):
        phantom = draw(seed, plan.index, plan.label, size, plan.source, patient=plan.patient)
        rows.append(_write(folder, plan, phantom, formats, bits))
        tick(done, len(plans))
    asked = f"{patients_per_class} patients of each of {', '.join(labels)}; seed {seed}; size {size}"
    notes = [f"{STATEMENT}: {asked}"]
    if shortcut:
        notes.append(f"the label decides the source of {shortcut:.0%} of the patients, on purpose")
    manifest = Manifest.from_rows(rows, dict.fromkeys(sources, folder), notes)
    write_manifest(manifest, folder / "manifest.parquet")
    return manifest


@dataclass(frozen=True, slots=True)
class _Plan:
    """One image to draw; ``study`` counts the patient's images from 1."""

    index: int
    patient: int
    study: int
    label: str
    source: str

    @property
    def name(self) -> str:
        """Its file name, which says nothing of the label."""
        return f"phantom-{self.patient:05d}-{self.study}"


def _plan(
    seed: int, patients_per_class: int, labels: Sequence[str], sources: Sequence[str], shortcut: float
) -> list[_Plan]:
    """Decide who has which label and source, in an order that does not tell."""
    rng = _stream(seed, _PLAN)
    people = []
    for number, label in enumerate(labels):
        dealt = [sources[i % len(sources)] for i in range(patients_per_class)]  # as even as can be within the label
        bound = rng.random(patients_per_class) < shortcut
        people += [(label, sources[number % len(sources)] if b else s) for s, b in zip(dealt, bound, strict=True)]
    order = rng.permutation(len(people)).tolist()
    images = rng.choice([1, 2, 3], len(people), p=[0.5, 0.3, 0.2]).tolist()
    plans: list[_Plan] = []
    for patient, who in enumerate(order):
        label, source = people[who]
        for study in range(1, images[patient] + 1):
            plans.append(_Plan(len(plans), patient, study, label, source))
    return plans


def _write(folder: Path, plan: _Plan, phantom: Phantom, formats: Sequence[str], bits: int) -> dict[str, object]:
    """Write the files of one phantom; return its row of the manifest."""
    files = {"png": f"images/{plan.name}.png", "dicom": f"dicom/{plan.name}.dcm"}
    if "png" in formats:
        write_png(folder / files["png"], phantom.pixels, bits)
    if "dicom" in formats:
        write_dicom(folder / files["dicom"], phantom, plan.study, inverted=plan.index % 3 == 0)
    lungs = f"masks/lungs/{plan.name}.png"
    write_mask(folder / lungs, phantom.lung_mask)
    if phantom.opacity_mask.any():
        write_mask(folder / f"masks/opacity/{plan.name}.png", phantom.opacity_mask)
    height, width = phantom.pixels.shape
    listed = files[formats[0]]
    return {
        "image": listed,
        "source": phantom.source,
        "label": phantom.label,
        "raw_label": phantom.label,
        "patient_id": phantom.patient_id,
        "study_id": f"{phantom.patient_id}-{plan.study}",
        "group": phantom.patient_id,
        "view": phantom.view,
        "sex": phantom.sex,
        "age": phantom.age,
        "lung_mask": lungs,
        "width": width,
        "height": height,
        "bits": bits if formats[0] == "png" else DICOM_BITS,
        "sha256": sha256_of(folder / listed),
        "phash": perceptual_hash(thumbnail(phantom.pixels)),
        "license": LICENSE,
        "label_provenance": PROVENANCE,
    }


def _check_options(
    patients: int, labels: Sequence[str], formats: Sequence[str], sources: Sequence[str], bits: int, shortcut: float
) -> None:
    """Refuse a set that cannot be written, before anything is."""
    for name, values in (("labels", labels), ("formats", formats), ("sources", sources)):
        if not values or len(set(values)) != len(values):
            raise UsageError(name, f"{list(values)} is empty or names one twice.", "Name each once.")
    for label in labels:
        check_label(label, "labels")
    for name in formats:
        if name not in ("png", "dicom"):
            raise UsageError("formats", f"{name!r} is unknown.", "One or both of png, dicom.")
    for name in sources:
        _check_source(name)
    if patients < 1:
        raise UsageError("patients of each class", f"{patients}: must be 1 or more.")
    if bits not in (8, 16):
        raise UsageError("bits", f"{bits}: a PNG is written with 8 or 16.")
    if not 0 <= shortcut <= 1:
        raise UsageError("shortcut", f"{shortcut}: must be a share, 0 to 1.")


def _check_source(name: str) -> None:
    if name not in SOURCES:
        raise UsageError("source", f"{name!r} is unknown.{suggestion(name, SOURCES)}", f"One of {', '.join(SOURCES)}.")


def _stream(seed: int, purpose: int, *numbers: int) -> np.random.Generator:
    """Return the random numbers for one purpose of one patient or image."""
    return np.random.default_rng([seed, purpose, *numbers])


def _pose(rng: np.random.Generator, view: str | None) -> Pose:
    """Draw a pose; the view is drawn even if it is given, so that it alone changes."""
    drawn = str(rng.choice(["PA", "AP", "AP Supine"], p=[0.65, 0.2, 0.15]))
    if view is not None and view not in ("PA", "AP", "AP Supine"):
        raise UsageError("view", f"{view!r} cannot be drawn.", "One of PA, AP, AP Supine.")
    return new_pose(rng, view or drawn)


def _check_numbers(seed: int, index: int, patient: int, height: int, width: int) -> None:
    """Refuse what cannot be drawn."""
    for name, value in (("seed", seed), ("index", index), ("patient", patient)):
        if value < 0:
            raise UsageError(name, f"{value} is negative; random streams are numbered from 0.")
    if min(height, width) < 32:
        raise UsageError("size", f"{height} x {width} pixels: a phantom needs 32 or more a side.")
