"""The layout of the National Library of Medicine's two sets on tuberculosis, Shenzhen and Montgomery County.

Jaeger et al., Two Public Chest X-Ray Datasets for Computer-Aided Screening of Pulmonary Diseases, Quantitative Imaging
in Medicine and Surgery 2014. Images are named ``PREFIX_NNNN_D.png`` (D is 1 for tuberculosis, 0 for none) in any
folders; ``ClinicalReadings/PREFIX_NNNN_D.txt`` has sex and age. A mask of both lungs has its image's name, with or
without ``_mask`` at its end, in a folder whose name holds ``mask``. Masks of one lung lie in ``leftMask`` and
``rightMask``; the import joins them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pneumoscope.data.cells import CellReader
from pneumoscope.data.masked_images import MaskedImages, Side
from pneumoscope.data.source import ImportOptions, Listing, Row, files_under, relative_name
from pneumoscope.imaging.files import why_not_image

OPTIONS = frozenset({"masks"})
"""The options of a source of this layout: joined masks need a folder."""

ReadFacts = Callable[[str], tuple[str, str]]
"""Returns sex and age, as cells of a table, from the text of a clinical reading; a blank where it states none."""

_LABELS = {"0": "normal", "1": "tuberculosis"}
_SIDE = re.compile(r"(left|right)[ _-]*(?:lungs?)?[ _-]*(?:masks?)?", re.IGNORECASE)


def scan_tuberculosis_set(
    folder: Path, options: ImportOptions, prefix: str, read_facts: ReadFacts, *, license: str, provenance: str
) -> Listing:
    """List the images in ``folder`` and below, each with its masks and the facts of its clinical reading.

    Args:
        folder: Of the set.
        options: Of the import.
        prefix: What the names begin with, such as ``CHNCXR``.
        read_facts: Reads a clinical reading.
        license: Of the set.
        provenance: How the set's labels were made.
    """
    listing, reader = Listing(root=folder), CellReader(options.lenient_columns)
    files = MaskedImages()
    readings: dict[str, Path] = {}
    pattern = re.compile(rf"{prefix}_(\d{{4}}_[01])(_mask)?", re.IGNORECASE)
    for path in files_under(folder, listing):
        match, name = pattern.fullmatch(path.stem), relative_name(path, folder)
        places = path.relative_to(folder).parts[:-1]
        if match is None:
            listing.drop(name, f"its name is not {prefix}_NNNN_D")
        elif path.suffix.lower() == ".txt":
            readings[match[1]] = path
        elif (reason := why_not_image(path)) is not None:
            listing.drop(name, reason)
        elif (side := _side(places)) is not None:
            files.halves[side][match[1]] = path
        elif match[2] or any("mask" in place.lower() for place in places):
            files.masks["lung"][match[1]] = path
        else:
            files.images.append((match[1], path))

    def describe(key: str) -> Row:
        patient, digit = key.split("_")  # one image for each patient
        reading = readings.get(key)
        sex, age = ("", "") if reading is None else read_facts(reading.read_text(encoding="utf-8", errors="replace"))
        where = "" if reading is None else relative_name(reading, folder)
        return Row(
            image="",
            label=_LABELS[digit],
            raw_label=_LABELS[digit],
            patient_id=patient,
            sex=reader.sex(sex, where),
            age=reader.age(age, where),
        )

    rows = [describe(key) for key, _ in files.images]
    files.add_rows(listing, rows, options, license=license, provenance=provenance)
    listing.notes += reader.finish()
    return listing


def _side(places: Sequence[str]) -> Side | None:
    """Return whose lung a folder below the root holds masks of."""
    for place in places:
        if match := _SIDE.fullmatch(place):
            return "left" if match[1].lower() == "left" else "right"
    return None
