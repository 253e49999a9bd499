"""The drawn studies of the demo: a patient with a prior image, two "hospitals", PNG and DICOM, and no chest at all.

A model's answers to them say nothing about its answers to patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.data.phantoms.files import write_dicom, write_png
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.phantoms.source import WORD, stamp

SEED = 2020
SIZE = 1024


@dataclass(frozen=True, slots=True)
class DemoStudy:
    """One study: its patient (one number each), its content and, for DICOM, its date."""

    patient: int
    index: int
    label: str
    source: str
    date: str = ""
    """YYYYMMDD; empty: a PNG, which says nothing of its patient."""
    words: str = ""
    """Added to the description of the series."""

    @property
    def tags(self) -> dict[str, str]:
        """The DICOM tags in which it differs from other phantoms."""
        description = f"{WORD} PHANTOM {self.words}".strip()
        return {"StudyDate": self.date, "StudyTime": "101500", "SeriesDescription": description}


STUDIES = (
    DemoStudy(1, 1, "lung-opacity", "synthetic-a"),
    DemoStudy(4, 4, "covid-19", "synthetic-b"),  # another "hospital": see what a model makes of its look
    DemoStudy(3, 3, "covid-19", "synthetic-a", "20240311", "PORTABLE"),
    DemoStudy(0, 0, "normal", "synthetic-a", "20240304"),
    DemoStudy(0, 10, "viral-pneumonia", "synthetic-a", "20240318"),  # the one before is its prior image
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
            write_dicom(path, phantom, number, tags=study.tags)
        else:
            write_png(path, phantom.pixels)
        files.append(path)
    return files


def has_dicom() -> bool:
    """Return whether DICOM can be written."""
    return find_spec("pydicom") is not None


def step_wedge(size: int) -> NDArray[np.float32]:
    """Return [size, size], a test picture of an X-ray tube: it shows no chest, so that a model should refuse it."""
    picture = np.full((size, size), 0.05, np.float64)
    edge, steps = size // 10, 10
    across = np.arange(size - 2 * edge) * steps // (size - 2 * edge)
    picture[3 * edge : -3 * edge, edge:-edge] = across / steps
    return stamp(picture)
