"""The Shenzhen set: adults with tuberculosis or none, PA, one hospital, with lung masks.

Jaeger et al., Two Public Chest X-Ray Datasets for Computer-Aided Screening of Pulmonary Diseases, Quantitative Imaging
in Medicine and Surgery 2014; masks by Stirenko et al., IEEE ELNANO 2018. Layout: images named ``CHNCXR_NNNN_D.png`` (D
is 1 for tuberculosis, 0 for none) in any folders. A mask has its image's name, with or without ``_mask`` at its end, in
a folder whose name holds ``mask``. The publishers' ``ClinicalReadings/CHNCXR_NNNN_D.txt`` give sex, age and finding.
"""

from __future__ import annotations

import re
from pathlib import Path

from pneumoscope.data.cells import CellReader
from pneumoscope.data.masked_images import MaskedImages
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import why_not_image

LICENSE = "National Library of Medicine, public; masks CC BY-NC-SA"
PROVENANCE = "radiologists of the hospital (Jaeger 2014); the digit of the file name"

_NAME = re.compile(r"CHNCXR_(\d{4})_([01])(_mask)?", re.IGNORECASE)
_READING = re.compile(r"\b(female|male)\b[^\d]*(\d+)\s*([ym])", re.IGNORECASE)  # years or months
_LABELS = {"0": ("normal", "normal"), "1": ("tuberculosis", "tuberculosis")}


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in ``folder`` and below, each with its mask and the facts of its clinical reading."""
    listing, reader = Listing(root=folder), CellReader(options.lenient_columns)
    files = MaskedImages()
    readings: dict[str, Path] = {}
    for path in files_under(folder, listing):
        match = _NAME.fullmatch(path.stem)
        name = relative_name(path, folder)
        if match is None:
            listing.drop(name, "its name is not CHNCXR_NNNN_D")
            continue
        key = f"{match[1]}_{match[2]}"
        if path.suffix.lower() == ".txt":
            readings[key] = path
        elif (reason := why_not_image(path)) is not None:
            listing.drop(name, reason)
        elif match[3] or any("mask" in part.lower() for part in path.relative_to(folder).parts[:-1]):
            files.masks["lung"][key] = path
        else:
            files.images.append((key, path))
    rows = (_facts(key, _read_reading(readings.get(key), folder, reader)) for key, _ in files.images)
    files.add_rows(listing, rows, options, license=LICENSE, provenance=PROVENANCE)
    listing.notes += reader.finish()
    return listing


def _facts(key: str, reading: tuple[str | None, float | None]) -> Row:
    """Return what the file name and the clinical reading say about an image."""
    patient, digit = key.split("_")  # one image for each patient
    label, raw_label = _LABELS[digit]
    sex, age = reading
    return Row(image="", label=label, raw_label=raw_label, patient_id=patient, sex=sex, age=age)


def _read_reading(path: Path | None, folder: Path, reader: CellReader) -> tuple[str | None, float | None]:
    """Return sex and age from a clinical reading such as ``male 45yrs`` in its first line."""
    if path is None:
        return None, None
    match = _READING.search(path.read_text(encoding="utf-8", errors="replace"))
    if match is None:
        return None, None
    years = match[2] if match[3].lower() == "y" else f"{int(match[2]) / 12:.2f}"
    where = relative_name(path, folder)
    return reader.sex(match[1], where), reader.age(years, where)


SOURCE = Source("shenzhen", "Shenzhen hospital, Jaeger 2014: tuberculosis or normal, PA, with lung masks", scan)
