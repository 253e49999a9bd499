"""The drawn studies that the demo shows: a patient with a prior image, two "hospitals", PNG and DICOM, and no chest.

What a model says about them is no sign of what it says about patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.files import atomic_path
from pneumoscope.data.phantoms.files import to_dataset, write_png
from pneumoscope.data.phantoms.phantom import Phantom, draw
from pneumoscope.data.phantoms.source import stamp

SEED = 2020
SIZE = 1024


@dataclass(frozen=True, slots=True)
class Drawn:
    """One study: whose (one number, one patient), what is drawn, and, where it is DICOM, when it was "taken"."""

    patient: int
    index: int
    label: str
    source: str
    date: str = ""
    """YYYYMMDD; empty: a PNG, which says nothing of its patient."""
    words: str = ""
    """Added to the description of the series."""


STUDIES = (
    Drawn(1, 1, "lung-opacity", "synthetic-a"),
    Drawn(4, 4, "covid-19", "synthetic-b"),  # another "hospital": see what a model makes of its look
    Drawn(3, 3, "covid-19", "synthetic-a", "20240311", "PORTABLE"),
    Drawn(0, 0, "normal", "synthetic-a", "20240304"),
    Drawn(0, 10, "viral-pneumonia", "synthetic-a", "20240318"),  # the one before is its prior image
)
"""After the step wedge; a worklist shows the last on top."""


def draw_studies(folder: Path) -> list[Path]:
    """Draw the studies into a folder and return their files; all as PNG where pydicom is not installed."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "step-wedge.png"]
    write_png(files[0], step_wedge(SIZE))
    for number, study in enumerate(STUDIES, 1):
        phantom = draw(SEED, study.index, study.label, size=SIZE, source=study.source, patient=study.patient)
        path = folder / f"drawn-{number}.png"
        if study.date and has_dicom():
            path = path.with_suffix(".dcm")
            _write_dicom(path, phantom, number, study)
        else:
            write_png(path, phantom.pixels)
        files.append(path)
    return files


def has_dicom() -> bool:
    """Return whether DICOM can be written."""
    return find_spec("pydicom") is not None


def step_wedge(size: int) -> NDArray[np.float32]:
    """Return [size, size] of what is exposed to test an X-ray tube: no chest, so that a model should keep silent."""
    picture = np.full((size, size), 0.05, np.float64)
    edge, steps = size // 10, 10
    across = np.arange(size - 2 * edge) * steps // (size - 2 * edge)
    picture[3 * edge : -3 * edge, edge:-edge] = across / steps
    return stamp(picture)


def _write_dicom(path: Path, phantom: Phantom, number: int, study: Drawn) -> None:
    from pydicom import dcmwrite

    dataset = to_dataset(phantom, number)
    dataset.StudyDate, dataset.StudyTime = study.date, "101500"
    dataset.SeriesDescription = f"{dataset.SeriesDescription} {study.words}".strip()
    with atomic_path(path) as temporary:
        dcmwrite(temporary, dataset, enforce_file_format=True)
