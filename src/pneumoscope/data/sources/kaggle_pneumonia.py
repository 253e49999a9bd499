"""Chest X-Ray Images (Pneumonia): children of one to five years, Guangzhou.

Kermany et al., Identifying Medical Diagnoses and Treatable Diseases by Image-Based Deep Learning, Cell 2018. Layout:
``{train,val,test}/{NORMAL,PNEUMONIA}/*.jpeg``; the file's name has patient and kind. The source ignores the published
division, whose validation part has 16 images. ``data split`` makes a new one.
"""

from __future__ import annotations

import re
from pathlib import Path

from pneumoscope.core.errors import LabelError
from pneumoscope.core.registry import several
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.imaging.files import why_not_image

LICENSE = "CC BY 4.0"
PROVENANCE = "graded by two physicians, a third checked the evaluation set (Kermany 2018); kind from the file name"

# personN is the patient, whatever the kind. Bacteria and virus may well count apart, so that the same number can mean
# two children. Joining two children costs nothing; separating one child's images makes the test worthless.
_SICK = re.compile(r"(person\d+)_(bacteria|virus)_\d+\.jpe?g")
_WELL = re.compile(r"((?:NORMAL2-)?IM-\d+)-\d+(?:-\d+)?\.jpe?g")
_MENDELEY = re.compile(r"((BACTERIA|VIRUS|NORMAL)-\d+)-\d+\.jpe?g")  # names of the set's third version
_LABELS = {"bacteria": "bacterial-pneumonia", "virus": "viral-pneumonia", "normal": "normal"}


def parse_name(name: str) -> tuple[str, str] | None:
    """Return the patient and the kind (``bacteria``, ``virus``, ``normal``) that a file's name states, or None."""
    if match := _SICK.fullmatch(name):
        return match[1], match[2]
    if match := _WELL.fullmatch(name):
        return match[1], "normal"
    if match := _MENDELEY.fullmatch(name):
        return match[1], match[2].lower()
    return None


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images of the three parts in ``folder`` (or in ``chest_xray`` inside it)."""
    inner = folder / "chest_xray"
    base = folder if (folder / "train").is_dir() or not inner.is_dir() else inner
    listing = Listing(root=folder)
    unknown = []
    for path in files_under(folder, listing):
        name, reason = relative_name(path, folder), why_not_image(path)
        place = path.relative_to(base).parts[:-1] if path.is_relative_to(base) else ()
        if len(place) != 2 or place[0] not in ("train", "val", "test") or place[1] not in ("NORMAL", "PNEUMONIA"):
            listing.drop(name, "outside the layout {train,val,test}/{NORMAL,PNEUMONIA} (a second copy?)")
            continue
        if reason is not None:
            listing.drop(name, reason)
            continue
        parsed = parse_name(path.name)
        if parsed is None or (parsed[1] == "normal") != (place[1] == "NORMAL"):
            unknown.append(name)
            continue
        patient, kind = parsed
        listing.rows.append(
            Row(
                image=name,
                label=_LABELS[kind],
                raw_label=place[1] if kind == "normal" else f"{place[1]}/{kind}",
                patient_id=patient,
                view="AP",  # "Chest X-ray images (anterior-posterior)": the publishers' description of the whole set
                license=options.license or LICENSE,
                label_provenance=options.provenance or PROVENANCE,
            )
        )
    if unknown:
        raise LabelError(
            several(unknown),
            "the name does not state patient and kind, or contradicts its folder.",
            "Names must be personN_bacteria_N, personN_virus_N (PNEUMONIA), IM-N-N or NORMAL2-IM-N-N (NORMAL); "
            "move others away, or use the source 'folder'.",
        )
    return listing


SOURCE = Source("kaggle-pneumonia", "Chest X-Ray Images (Pneumonia), Kermany 2018: children, patient in the name", scan)
