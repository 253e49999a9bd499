"""The Montgomery County set: adults with tuberculosis or none, PA, from screening in the USA.

Jaeger et al., Two Public Chest X-Ray Datasets for Computer-Aided Screening of Pulmonary Diseases, Quantitative Imaging
in Medicine and Surgery 2014; masks by Candemir et al., IEEE TMI 2014. Layout: images named ``MCUCXR_NNNN_D.png`` (D is
1 for tuberculosis, 0 for none) in any folders, and ``ClinicalReadings/MCUCXR_NNNN_D.txt`` with sex and age. The masks
``ManualMask/leftMask`` and ``rightMask`` show one lung each; a manifest has one mask for both lungs, so that they are
listed and left out. A mask of both lungs has its image's name, with or without ``_mask``, in another folder whose name
holds ``mask``.
"""

from __future__ import annotations

import re
from pathlib import Path

from pneumoscope.data.cells import CellReader
from pneumoscope.data.masked_images import MaskedImages
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import why_not_image

LICENSE = "National Library of Medicine, public"
PROVENANCE = "radiologists of the county (Jaeger 2014); the digit of the file name"

_NAME = re.compile(r"MCUCXR_(\d{4})_([01])(_mask)?", re.IGNORECASE)
_SEX = re.compile(r"Sex:\s*([A-Z]+)", re.IGNORECASE)
_AGE = re.compile(r"Age:\s*(\S+)", re.IGNORECASE)
_LABELS = {"0": ("normal", "normal"), "1": ("tuberculosis", "tuberculosis")}


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in ``folder`` and below, each with the facts of its clinical reading."""
    listing, reader = Listing(root=folder), CellReader(options.lenient_columns)
    files = MaskedImages()
    readings: dict[str, Path] = {}
    for path in files_under(folder, listing):
        match, name = _NAME.fullmatch(path.stem), relative_name(path, folder)
        folders = [part.lower() for part in path.relative_to(folder).parts[:-1]]
        if match is None:
            listing.drop(name, "its name is not MCUCXR_NNNN_D")
            continue
        key = f"{match[1]}_{match[2]}"
        if path.suffix.lower() == ".txt":
            readings[key] = path
        elif (reason := why_not_image(path)) is not None:
            listing.drop(name, reason)
        elif any("left" in part or "right" in part for part in folders):
            listing.drop(name, "the mask of one lung: a manifest has one mask for both")
        elif match[3] or any("mask" in part for part in folders):
            files.masks["lung"][key] = path
        else:
            files.images.append((key, path))
    rows = [_facts(key, readings.get(key), folder, reader) for key, _ in files.images]
    files.add_rows(listing, rows, options, license=LICENSE, provenance=PROVENANCE)
    listing.notes += reader.finish()
    return listing


def _facts(key: str, reading: Path | None, folder: Path, reader: CellReader) -> Row:
    """Return what the file name and the clinical reading say about an image."""
    patient, digit = key.split("_")  # one image for each patient
    label, raw_label = _LABELS[digit]
    text = "" if reading is None else reading.read_text(encoding="utf-8", errors="replace")
    sex, age = _SEX.search(text), _AGE.search(text)
    where = "" if reading is None else relative_name(reading, folder)
    return Row(
        image="",
        label=label,
        raw_label=raw_label,
        patient_id=patient,
        sex=None if sex is None else reader.sex(sex[1], where),
        age=None if age is None else reader.age(age[1], where),
    )


SOURCE = Source("montgomery", "Montgomery County, Jaeger 2014: tuberculosis or normal, PA", scan)
