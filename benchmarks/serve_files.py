"""Which files the benchmarks of the server send: real ones where they lie beside the project, drawn ones elsewhere.

The mix is stated with every result. Each file is another one by its bytes, since the server takes the same file twice
for one image.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.imaging.golden_files.encode import dicom
from pneumoscope.imaging.read import read

MIX = {"radiography": 0.65, "kaggle-pneumonia": 0.15, "ieee8023": 0.10, "dicom": 0.10}
"""Shares of the real sets: 256 x 256 PNG; JPEG, most of 512 x 512; JPEG and PNG of all sizes; DICOM."""
_PATTERNS = {
    "radiography": "*/*/images/*.png",
    "kaggle-pneumonia": "**/*.jp*g",
    "ieee8023": "images/*",
    "dicom": "RG1_J2KI.dcm",
}


def choose(data: Path, count: int, folder: Path, seed: int = 0) -> tuple[list[str], str]:
    """Return ``count`` files in random order, and what they are in words.

    Args:
        data: Folder of the real sets; phantoms are drawn where it is none.
        count: How many.
        folder: For what has to be made: DICOM files of real pixels (there are few real ones), each of another patient.
        seed: Another gives others.
    """
    draw = random.Random(seed)
    if not (data / "radiography").is_dir():
        write_set(folder / "phantoms", -(-count // 3), ("covid-19", "normal", "viral-pneumonia"), seed)
        files = list(islice(_distinct(_shuffled((folder / "phantoms" / "images").rglob("*.png"), draw)), count))
        return files, f"{len(files)} phantoms, 256 x 256 PNG"
    chosen: list[str] = []
    words = []
    for name, share in MIX.items():
        share_count = count - len(chosen) if name == list(MIX)[-1] else round(count * share)
        paths = list(islice(_distinct(_shuffled((data / name).glob(_PATTERNS[name]), draw)), share_count))
        if name == "dicom":
            spare = (path for path in _shuffled((data / "nih").glob("images/*.png"), draw))
            paths += _as_dicom(islice(_distinct(spare), share_count - len(paths)), folder)
        if len(paths) < share_count:  # small sets: more of the large one
            more = _shuffled((data / "radiography").glob(_PATTERNS["radiography"]), draw)
            used = set(chosen) | set(paths)
            paths += list(islice((path for path in _distinct(more) if path not in used), share_count - len(paths)))
        chosen += paths
        words.append(f"{len(paths)} {name}")
    draw.shuffle(chosen)
    return chosen, ", ".join(words)


def _shuffled(paths: Iterable[Path], draw: random.Random) -> list[Path]:
    files = sorted(path for path in paths if path.is_file())
    draw.shuffle(files)
    return files


def _distinct(paths: Iterable[Path]) -> Iterator[str]:
    hashes: set[bytes] = set()
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest not in hashes:
            hashes.add(digest)
            yield str(path)


def _as_dicom(paths: Iterable[str], folder: Path) -> list[str]:
    """Write the pixels of real radiographs as DICOM of 12 bits, each of a patient and a study of its own."""
    targets = []
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths, 1):
        samples = np.rint(read(path).pixels * 4095).astype(np.uint16)
        tags = {
            "PatientName": f"Bench^{number}", "PatientID": f"B{number}", "StudyInstanceUID": f"2.25.77{number}",
            "SOPInstanceUID": f"2.25.78{number}", "StudyDate": "20240506", "BurnedInAnnotation": "NO",
        }  # fmt: skip
        target = folder / f"{number}.dcm"
        target.write_bytes(dicom(samples, 12, tags))
        targets.append(str(target))
    return targets
