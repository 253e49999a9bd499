"""CheXpert: adults of one American hospital, 14 findings that a program found in the reports.

Irvin et al., CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert Comparison, AAAI 2019.
Layout: ``train.csv`` and ``valid.csv``, in the folder or one folder below it, with ``Path``
(``CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg``), ``Sex``, ``Age``, ``Frontal/Lateral``, ``AP/PA``
and 14 columns of findings; the images in folders ``patientNNNNN/studyN``, whatever lies above them. Three
radiologists read the images of ``valid.csv``. `chexpert_columns` says what the values mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.data.cells import CellReader, cell_text
from pneumoscope.data.chexpert_columns import OPTIONS, ChexpertColumns
from pneumoscope.data.finding_rows import NOTHING_STATED
from pneumoscope.data.findings import write_findings
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import SourceTable, read_table
from pneumoscope.imaging.files import why_not_image

LICENSE = "Stanford University Dataset Research Use Agreement"
PROVENANCE = {
    "train.csv": "mined from the reports by a program (Irvin 2019)",
    "valid.csv": "three radiologists (Irvin 2019)",
}
"""Table -> how its labels were made."""

_PLACE = re.compile(r"(?:.*/)?(patient\d+)/(study\d+)/([^/]+)")
_NEEDED = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
_OF_FRONTAL = ("AP", "PA", "")


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the frontal images of both tables; laterals come in with the view ``L``."""
    paths = [path for name in PROVENANCE for path in (*folder.glob(name), *sorted(folder.glob(f"*/{name}")))]
    if not paths:
        raise ManifestError(
            str(folder), "has neither train.csv nor valid.csv.", "Name the folder that holds them and the images."
        )
    listing, reader = Listing(root=folder), CellReader(options.lenient_columns)
    files = list(files_under(folder, listing))
    images = _find_images(folder, files)
    listed: dict[str, str] = {}
    for path in paths:
        table = read_table(path)
        listing.notes += table.notes
        _add_rows(listing, table, images, listed, reader, options)
    listing.notes += reader.finish()
    used = {images[key] for key in listed if key in images}
    for file in files:
        if file not in used and file not in paths:
            listing.drop(relative_name(file, folder), why_not_image(file) or "no row in train.csv or valid.csv")
    return listing


def _find_images(folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    """Return the images by patient, study and name, for their upper folders are named in many ways."""
    images: dict[str, Path] = {}
    for file in files:
        match = _PLACE.fullmatch(relative_name(file, folder))
        if match is None:
            continue
        key = "/".join(match.groups())
        if key in images:
            raise ManifestError(
                str(folder), f"has two files {quote(key)}: {images[key]} and {file}.", "Name the folder of one copy."
            )
        images[key] = file
    return images


def _add_rows(
    listing: Listing,
    table: SourceTable,
    images: dict[str, Path],
    listed: dict[str, str],
    reader: CellReader,
    options: ImportOptions,
) -> None:
    """Add the rows of a table, and record in ``listed`` where each image was named."""
    name = table.path.name
    cells = {column: table.cells(column, f"column {column!r}") for column in _NEEDED}
    columns = ChexpertColumns(table, options.uncertain, listing.labels)
    no_age = 0
    for place in range(len(table)):
        cell = {column: values[place].strip() for column, values in cells.items()}
        where = table.where(place)
        match = _PLACE.fullmatch(cell["Path"].replace("\\", "/"))
        if match is None:
            raise ManifestError(
                f"{where}, column 'Path'",
                f"has {quote(cell['Path'])}.",
                "A path ends as in train/patient00001/study1/view1_frontal.jpg.",
            )
        patient, study, _ = match.groups()
        key = "/".join(match.groups())
        if key in listed:
            raise ManifestError(where, f"names {quote(key)} again; {listed[key]} did.", "Keep one row for each image.")
        listed[key] = where
        reading = columns.read(place)
        reason = _why_dropped(cell, where, options)
        if reason is not None or reading is None or key not in images:
            listing.drop(key, reason or ("its image is not here" if key not in images else NOTHING_STATED))
            continue
        unknown_age = cell["Age"] in ("0", "0.0")
        no_age += unknown_age
        listing.rows.append(
            Row(
                image=relative_name(images[key], listing.root),
                label=reading.label,
                raw_label=reading.raw,
                patient_id=patient,
                study_id=f"{patient}, {study}",
                view="L" if cell["Frontal/Lateral"] == "Lateral" else reader.view(cell["AP/PA"], where),
                sex=reader.sex(cell_text(cell["Sex"]) or "", where),
                age=None if unknown_age else reader.age(cell["Age"], where),
                findings=write_findings(reading.findings),
                license=options.license or LICENSE,
                label_provenance=options.provenance or PROVENANCE[name],
            )
        )
    listing.notes += columns.notes()
    if no_age:
        # The set is one of adults; the few zeros stand for an age that nobody entered.
        listing.notes.append(f"{name}: the age of {no_age:,} images is 0 and counts as unknown")


def _why_dropped(cell: dict[str, str], where: str, options: ImportOptions) -> str | None:
    """Return why a row is no frontal image, or a lateral that was not asked for; None otherwise."""
    side = cell["Frontal/Lateral"]
    if side not in ("Frontal", "Lateral"):
        raise ManifestError(f"{where}, column 'Frontal/Lateral'", f"has {quote(side)}.", "Write Frontal or Lateral.")
    if side == "Lateral":
        return None if "L" in options.views else "a lateral"
    if cell["AP/PA"] not in _OF_FRONTAL:
        return f"view {quote(cell['AP/PA'])} of an image that is called frontal"
    return None


SOURCE = Source("chexpert", "CheXpert: 14 findings of adults, from the reports", scan, options=OPTIONS)
