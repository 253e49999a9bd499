"""The drawn studies of the demo: a patient with a prior image, two "hospitals", PNG and DICOM, and no chest at all.

A model's answers to them say nothing about its answers to patients.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
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


def draw_studies(folder: Path) -> Iterator[Path]:
    """Draw the studies into a folder and yield their files; all as PNG where pydicom is not installed."""
    return map(partial(draw_study, folder, SIZE), range(len(STUDIES) + 1))


@contextmanager
def draw_studies_in_process(folder: Path) -> Iterator[Iterator[Path]]:
    """Do what `draw_studies` does in a process that begins at once; each file is yielded when it is drawn."""
    # Ctrl-C is for this process, which then ends the other.
    pool = ProcessPoolExecutor(1, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        yield pool.map(partial(draw_study, folder, SIZE), range(len(STUDIES) + 1))
    finally:
        # At most one drawing is waited for. A pool that is still closing when Python ends can fail there: its end
        # writes to a pipe that the pool's thread closes (EBADF, seen in Python 3.11).
        pool.shutdown(wait=True, cancel_futures=True)


def draw_study(folder: Path, size: int, number: int) -> Path:
    """Draw a study into a folder and return its file.

    Args:
        folder: It is made if it is not there.
        size: Pixels of a side.
        number: 0: the step wedge; n: study n of `STUDIES`, counted from 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if number == 0:
        write_png(folder / "step-wedge.png", step_wedge(size))
        return folder / "step-wedge.png"
    study = STUDIES[number - 1]
    phantom = draw(SEED, study.index, study.label, size=size, source=study.source, patient=study.patient)
    path = folder / f"drawn-{number}.png"
    if study.date and has_dicom():
        path = path.with_suffix(".dcm")
        write_dicom(path, phantom, number, tags=study.tags)
    else:
        write_png(path, phantom.pixels)
    return path


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
