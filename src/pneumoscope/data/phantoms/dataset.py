"""A set of phantoms on disk: images, masks and a manifest, with patients and sources like those of a real set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import sha256_of
from pneumoscope.core.labels import check_label
from pneumoscope.data.fingerprint import perceptual_hash, thumbnail
from pneumoscope.data.phantoms.files import DICOM_BITS, STATEMENT, write_dicom, write_mask, write_png
from pneumoscope.data.phantoms.phantom import PLAN, Phantom, check_source, draw, stream

if TYPE_CHECKING:
    from pneumoscope.data.manifest import Manifest

LICENSE = "CC0-1.0"
PROVENANCE = "drawn by pneumoscope"


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
        folder: The folder, created if absent. It holds images/, dicom/, masks/lungs/ and masks/opacity/.
        patients_per_class: Patients of each label.
        labels: From the vocabulary.
        seed: Another seed gives other patients.
        size: As in ``draw``.
        formats: ``png``, ``dicom`` or both.
        sources: Names in ``SOURCES``.
        bits: Of the PNG files, 8 or 16.
        shortcut: Share 0..1 of the patients whose label decides their source, for an audit to find.
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
        raise UsageError(str(folder), "is not empty.", "Name another folder, or say `overwrite=True` to write into it.")
    plans = _plan(seed, patients_per_class, labels, sources, shortcut)
    rows = []
    for done, plan in enumerate(plans, 1):
        phantom = draw(seed, plan.index, plan.label, size, plan.source, patient=plan.patient)
        rows.append(_write(folder, plan, phantom, formats, bits))
        tick(done, len(plans))
    description = f"{patients_per_class} patients of each of {', '.join(labels)}; seed {seed}; size {size}"
    notes = [f"{STATEMENT}: {description}"]
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
        """Its file name, which does not reveal the label."""
        return f"phantom-{self.patient:05d}-{self.study}"


def _plan(
    seed: int, patients_per_class: int, labels: Sequence[str], sources: Sequence[str], shortcut: float
) -> list[_Plan]:
    """Return all images to draw, with label and source, in an order that does not reveal the label."""
    rng = stream(seed, PLAN)
    people = []
    for number, label in enumerate(labels):
        own_sources = [
            sources[i % len(sources)] for i in range(patients_per_class)
        ]  # as even as possible within the label
        bound = rng.random(patients_per_class) < shortcut
        people += [(label, sources[number % len(sources)] if b else s) for s, b in zip(own_sources, bound, strict=True)]
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
        "lung_definition": "lungs",
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
    """Refuse a set that cannot be written, before anything is written."""
    for name, values in (("labels", labels), ("formats", formats), ("sources", sources)):
        if not values or len(set(values)) != len(values):
            raise UsageError(name, f"{list(values)} is empty or names one twice.", "Name each once.")
    for label in labels:
        check_label(label, "labels")
    for name in formats:
        if name not in ("png", "dicom"):
            raise UsageError("formats", f"{name!r} is unknown.", "One or both of png, dicom.")
    for name in sources:
        check_source(name)
    if patients < 1:
        raise UsageError("patients of each class", f"{patients}: must be 1 or more.")
    if bits not in (8, 16):
        raise UsageError("bits", f"{bits}: a PNG is written with 8 or 16.")
    if not 0 <= shortcut <= 1:
        raise UsageError("shortcut", f"{shortcut}: must be a share, 0 to 1.")
