"""NIH ChestX-ray14: adults and some children of one American hospital, with RSNA's reading where there is one.

Wang et al., CVPR 2017: the findings were mined from the reports by a program. Shih et al., Radiology: Artificial
Intelligence 2019: radiologists of the RSNA read a part of the images again, for the Pneumonia Challenge. Layout: the
table ``Data_Entry_2017*.csv`` or ``findings.csv`` (columns of the publishers), images named by its column ``Image
Index`` in any folders, and, where the challenge's classes are at hand, ``rsna.csv`` with the columns ``Image Index``
and ``rsna_class``. A class of the RSNA goes before a finding of the program. Its column ``boxes_xywh_of_1`` may
hold the boxes that its radiologists drew around opacities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.data.boxes import parse_boxes
from pneumoscope.data.cells import CellReader, cell_text
from pneumoscope.data.image_index import ImageIndex
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import SourceTable, read_optional_table, read_table
from pneumoscope.imaging.files import why_not_image

LICENSE = "public; cite Wang 2017 (and Shih 2019 for the RSNA's classes)"
PROVENANCE = "mined from the reports by a program (Wang 2017)"
RSNA_PROVENANCE = "radiologists of the RSNA Pneumonia Challenge (Shih 2019)"

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia",
    "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip
"""The 14 findings of the column ``Finding Labels``, verbatim; an image may have several, divided by bars."""

NO_FINDING = "No Finding"

RSNA_CLASSES: Mapping[str, str] = MappingProxyType(
    {"Lung Opacity": "lung-opacity", "Normal": "normal", "No Lung Opacity / Not Normal": "other"}
)
"""The RSNA's classes, verbatim -> label. An opacity is one that may be pneumonia."""

_BOXES = "boxes_xywh_of_1"
_TABLES = ("Data_Entry_2017*.csv", "findings.csv")
_NEEDED = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender",
           "View Position")  # fmt: skip


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images of the table, each with its label, patient, age, sex and view.

    ``options.findings`` are whole terms: a class of the RSNA, or a cell of ``Finding Labels`` as it stands.
    """
    table = read_entries(folder)
    classes, boxes = _read_rsna(folder / "rsna.csv")
    cells = zip(table.names, table.cells["Finding Labels"], strict=True)
    _check_choice(options, {classes.get(name, found) for name, found in cells}, table.path)

    def describe(name: str, found: str, where: str) -> Row | str:
        term = classes.get(name, found)
        if options.findings and term not in options.findings:
            return f"{quote(term)}, not among those asked for"
        return Row(
            image="",
            label=RSNA_CLASSES[term] if name in classes else _label(term, where),
            raw_label=term,
            boxes=boxes.get(name),
            license=options.license or LICENSE,
            label_provenance=options.provenance or (RSNA_PROVENANCE if name in classes else PROVENANCE),
        )

    return list_entries(folder, options, table, describe)


@dataclass(frozen=True)
class NihEntries:
    """The publishers' table: the image of each row, and the cells of each column, in the order of the rows."""

    table: SourceTable
    cells: Mapping[str, list[str]]

    @property
    def path(self) -> Path:
        """The table's file."""
        return self.table.path

    @property
    def names(self) -> list[str]:
        """The image that each row names."""
        return [name.strip() for name in self.cells["Image Index"]]


def read_entries(folder: Path) -> NihEntries:
    """Read the publishers' table ``Data_Entry_2017*.csv``, or ``findings.csv`` with the same columns."""
    path = next((match for pattern in _TABLES for match in sorted(folder.glob(pattern))), None)
    if path is None:
        raise ManifestError(
            str(folder), "has neither Data_Entry_2017*.csv nor findings.csv.", "Name the folder that holds the table."
        )
    table = read_table(path)
    return NihEntries(table, {name: table.cells(name, f"column {name!r}") for name in _NEEDED})


def list_entries(
    folder: Path, options: ImportOptions, entries: NihEntries, describe: Callable[[str, str, str], Row | str]
) -> Listing:
    """List the images of the publishers' table, each with its patient, follow-up, age, sex and view.

    Args:
        folder: The folder of the images.
        options: Of the import.
        entries: The table.
        describe: From an image's name, its cell of ``Finding Labels`` and its place: its label and what else is known,
            or why it is dropped.
    """
    table, listing = entries.table, Listing(root=folder, notes=list(entries.table.notes))
    reader = CellReader(options.lenient_columns)
    index = ImageIndex(folder, files_under(folder, listing))
    listed: set[Path | None] = set()
    for place, name in enumerate(entries.names):
        cell = {column: values[place] for column, values in entries.cells.items()}
        where = table.where(place)
        image = index.find(name, where)
        listed.add(image)
        row = "its image is not here" if image is None else describe(name, cell["Finding Labels"], where)
        if image is None or isinstance(row, str):
            listing.drop(name, str(row))
            continue
        patient, follow_up = cell_text(cell["Patient ID"]), cell_text(cell["Follow-up #"])
        listing.rows.append(
            replace(
                row,
                image=relative_name(image, folder),
                patient_id=patient,
                study_id=f"{patient}, follow-up {follow_up}" if patient and follow_up else None,
                view=reader.view(cell["View Position"], where),
                sex=reader.sex(cell["Patient Gender"], where),
                age=reader.age(cell["Patient Age"], where),
            )
        )
    listing.notes += reader.finish()
    for file in index.files:
        if file not in listed and file.suffix.lower() != ".csv":
            listing.drop(relative_name(file, folder), why_not_image(file) or f"no row in {entries.path.name}")
    return listing


def read_terms(findings: str, where: str) -> list[str]:
    """Return the findings of a cell of ``Finding Labels``, none for `NO_FINDING`.

    Raises:
        ManifestError: A finding is not one of `FINDINGS`, or `NO_FINDING` stands beside one.
    """
    found = [finding.strip() for finding in findings.split("|")]
    for finding in found:
        if finding not in FINDINGS and found != [NO_FINDING]:
            raise ManifestError(
                f"{where}, column 'Finding Labels'",
                f"has {quote(finding)}.{suggestion(finding, FINDINGS)}",
                f"Findings: {', '.join(FINDINGS)}, or {NO_FINDING} alone.",
            )
    return [] if found == [NO_FINDING] else found


def _label(findings: str, where: str) -> str:
    """Return the label of a cell of ``Finding Labels``: normal, pneumonia where it is one of them, else other."""
    found = read_terms(findings, where)
    return "pneumonia" if "Pneumonia" in found else "other" if found else "normal"


def _read_rsna(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the RSNA's class and boxes, by image that it read; none where the table is not there."""
    table = read_optional_table(path)
    if table is None:
        return {}, {}
    images, classes = (table.cells(name, f"column {name!r}") for name in ("Image Index", "rsna_class"))
    for place, term in enumerate(classes):
        if term.strip() not in RSNA_CLASSES:
            raise ManifestError(
                f"{table.where(place)}, column 'rsna_class'",
                f"has {quote(term)}.{suggestion(term, RSNA_CLASSES)}",
                f"Classes: {', '.join(RSNA_CLASSES)}.",
            )
    names = [image.strip() for image in images]
    boxes: dict[str, str] = {}
    if _BOXES in table.columns:
        cells = (text.strip() for text in table.cells(_BOXES, f"column {_BOXES!r}"))
        boxes = {name: text for name, text in zip(names, cells, strict=True) if text}
        for place, name in enumerate(names):
            parse_boxes(boxes.get(name, "[]"), f"{table.where(place)}, column {_BOXES!r}")
    return {name: term.strip() for name, term in zip(names, classes, strict=True)}, boxes


def _check_choice(options: ImportOptions, present: set[str], path: Path) -> None:
    """Refuse findings that no row has."""
    for finding in options.findings:
        if finding not in present:
            raise UsageError(
                argument("findings", finding),
                f"no image of {path.name} has it.{suggestion(finding, present)}",
                f"Terms: the RSNA's classes {', '.join(RSNA_CLASSES)}, and the cells of its column 'Finding Labels'.",
            )


SOURCE = Source(
    "nih", "NIH ChestX-ray14: findings of the reports, and the RSNA's classes", scan, options=frozenset({"findings"})
)
