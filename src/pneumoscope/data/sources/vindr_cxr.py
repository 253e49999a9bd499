"""VinDr-CXR: adults of two hospitals in Vietnam, findings and boxes of several radiologists for each image.

Nguyen et al., VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations, Scientific Data 2022.
PhysioNet's layout: ``image_labels_train.csv`` (``image_id``, ``rad_id``, 28 columns of 0 and 1: one row for each image
and reader), ``annotations_train.csv`` (``image_id``, ``rad_id``, ``class_name``, ``x_min``, ``y_min``, ``x_max``,
``y_max``: one row a box, in pixels of the DICOM file), the same two tables for ``test`` without ``rad_id`` (the
consensus of five), in the folder or in ``annotations/``. Kaggle's layout: ``train.csv`` with the boxes of each reader
and ``No finding``, 14 findings. The images are ``IMAGE_ID.dicom``, or PNG or JPEG of that name, in any folders. Images
of another size need ``train_meta.csv`` (``image_id``, ``dim0``, ``dim1``: rows and columns of the DICOM file).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.registry import suggestion
from pneumoscope.data.finding_rows import NOTHING_STATED, PixelBoxes, stated_label, without_contradictions
from pneumoscope.data.findings import write_findings
from pneumoscope.data.image_index import ImageIndex
from pneumoscope.data.pixel_size import pixel_size
from pneumoscope.data.reader_votes import combine_readings
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import SourceTable, read_optional_table, read_table
from pneumoscope.imaging.files import why_not_image

LICENSE = "VinDr-CXR, PhysioNet Credentialed Health Data Use Agreement; cite Nguyen 2022"
NO_FINDING = "No finding"

LABELS: Mapping[str, str | None] = MappingProxyType(
    {
        "Aortic enlargement": None,
        "Atelectasis": "atelectasis",
        "Calcification": None,
        "Cardiomegaly": "cardiomegaly",
        "Clavicle fracture": "fracture",
        "Consolidation": "consolidation",
        "Edema": "edema",
        "Emphysema": "emphysema",
        "Enlarged PA": None,
        "ILD": None,
        "Infiltration": "infiltration",
        "Lung Opacity": "lung-opacity",
        "Lung cavity": None,
        "Lung cyst": None,
        "Mediastinal shift": None,
        "Nodule/Mass": "lung-lesion",
        "Pleural effusion": "pleural-effusion",
        "Pleural thickening": "pleural-thickening",
        "Pneumothorax": "pneumothorax",
        "Pulmonary fibrosis": "pulmonary-fibrosis",
        "Rib fracture": "fracture",
        "Other lesion": None,
        "COPD": None,
        "Lung tumor": "lung-lesion",
        "Pneumonia": "pneumonia",
        "Tuberculosis": "tuberculosis",
        "Other diseases": None,
        "Other disease": None,  # the test part's spelling
    }
)
"""Term -> label, or None where the vocabulary has none; without `NO_FINDING`."""

KAGGLE = ("Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Consolidation", "ILD", "Infiltration",
          "Lung Opacity", "Nodule/Mass", "Other lesion", "Pleural effusion", "Pleural thickening", "Pneumothorax",
          "Pulmonary fibrosis")  # fmt: skip
"""The findings that Kaggle's table may name."""

_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_CONSENSUS = ""  # the reader of a table without readers
_RULES = {
    "majority": "a finding counts that more than half name",
    "any": "a finding counts that one names",
    "unanimous": "a finding counts that all name or none",
}
_SIZES = ("train_meta.csv", "test_meta.csv")  # written by the programs that resized the images on Kaggle
_MOST_PIXELS = 65_535  # Rows and Columns have 16 bits (PS3.3 C.7.6.3)
_BEYOND = 1.01  # boxes may end outside by rounding; those of a larger image end far outside


@dataclass
class ReaderTables:
    """The readings of one table of images.

    Args:
        labels: The table of findings.
        boxes: The table of boxes; None where it is not there.
        readings: Image -> reader -> term -> named or not.
        places: Image -> its first row, for a message.
    """

    labels: SourceTable
    boxes: SourceTable | None
    readings: dict[str, dict[str, dict[str, bool]]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def add(self, image: str, reader: str, where: str) -> dict[str, bool]:
        """Return the reading of an image by a reader, to be filled."""
        self.places.setdefault(image, where)
        return self.readings.setdefault(image, {}).setdefault(reader, {})


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images that have a reading, each with its findings and the boxes of those that are present."""
    parts = [part for name in ("train", "test") if (part := _read_part(folder, name)) is not None]
    if not parts and (path := folder / "train.csv").is_file():
        parts = [_read_kaggle(read_table(path))]
    if not parts:
        raise ManifestError(
            str(folder),
            "has neither image_labels_train.csv, image_labels_test.csv (PhysioNet) nor train.csv (Kaggle).",
            "Name the folder that holds them, or holds annotations/ with them.",
        )
    listing = Listing(root=folder)
    index = ImageIndex(folder, files_under(folder, listing))
    sizes = _read_sizes(folder)
    listed: set[Path | None] = set()
    for part in parts:
        _add_rows(listing, part, options, index, sizes, listed)
    tables = {table.path for part in parts for table in (part.labels, part.boxes) if table is not None}
    for file in index.files:
        if file not in listed and file not in tables and file.name not in _SIZES:
            listing.drop(relative_name(file, folder), why_not_image(file) or "no row in a table of findings")
    return listing


def _table(folder: Path, name: str) -> SourceTable | None:
    tables = (read_optional_table(path) for path in (folder / name, folder / "annotations" / name))
    return next((table for table in tables if table is not None), None)


def _read_part(folder: Path, name: str) -> ReaderTables | None:
    """Return a part in PhysioNet's layout; None where its table of findings is not there."""
    table = _table(folder, f"image_labels_{name}.csv")
    if table is None:
        return None
    part = ReaderTables(table, _table(folder, f"annotations_{name}.csv"))
    terms = [column for column in table.columns if column not in ("image_id", "rad_id")]
    for term in terms:
        _check_term(term, f"{table.path.name}, column {term!r}")
    images = table.cells("image_id", "column 'image_id'")
    readers = table.cells("rad_id", "column 'rad_id'") if "rad_id" in table.columns else [_CONSENSUS] * len(table)
    columns = {term: table.cells(term, f"column {term!r}") for term in terms}
    for place, (image, reader) in enumerate(zip(map(str.strip, images), map(str.strip, readers), strict=True)):
        where = table.where(place)
        if "rad_id" in table.columns:
            _check_reader(reader, where)
        if reader in part.readings.get(image, ()):
            again = f"names {quote(image)} again" + (f" for the reader {quote(reader)}." if reader else ".")
            raise ManifestError(where, again, "Keep one row for each image and reader.")
        reading = part.add(image, reader, where)
        for term, cells in columns.items():
            if (value := _read_value(cells[place], f"{where}, column {term!r}")) is not None:
                reading[term] = value
    return part


def _read_kaggle(table: SourceTable) -> ReaderTables:
    """Return the training part in Kaggle's layout: what a reader drew no box around, they did not find."""
    part = ReaderTables(table, table)
    columns = (table.cells(name, f"column {name!r}") for name in ("image_id", "rad_id", "class_name"))
    for place, (image, reader, term) in enumerate(zip(*columns, strict=True)):
        where, term = table.where(place), term.strip()
        _check_term(term, f"{where}, column 'class_name'")
        _check_reader(reader.strip(), where)
        reading = part.add(image.strip(), reader.strip(), where)
        if not reading:
            reading.update(dict.fromkeys((NO_FINDING, *KAGGLE), False))
        reading[term] = True
    return part


def _check_reader(reader: str, where: str) -> None:
    if reader == _CONSENSUS:
        raise ManifestError(f"{where}, column 'rad_id'", "names no reader.", "Name who read the image, such as R9.")


def _check_term(term: str, where: str) -> None:
    if term not in LABELS and term != NO_FINDING:
        known = (NO_FINDING, *LABELS)
        raise ManifestError(
            where, f"{quote(term)} is no finding of the set.{suggestion(term, known)}", f"Findings: {', '.join(known)}."
        )


def _read_value(cell: str, where: str) -> bool | None:
    """Return whether a reader named a finding; None for a blank."""
    if (text := cell.strip()) in ("0", "0.0", "1", "1.0"):
        return text[0] == "1"
    if text:
        raise ManifestError(where, f"has {quote(text)}.", "Write 1 (named), 0 (not named), or leave it blank.")
    return None


def _add_rows(
    listing: Listing,
    part: ReaderTables,
    options: ImportOptions,
    index: ImageIndex,
    sizes: Mapping[str, tuple[int, int]],
    listed: set[Path | None],
) -> None:
    """Add the rows of a part."""
    name, rule = part.labels.path.name, options.readers or "majority"
    images: dict[str, Path] = {}
    findings: dict[str, dict[str, bool]] = {}
    contradicted = 0
    for image, readings in part.readings.items():
        where = part.places[image]
        file = index.with_ending(image)
        path = None if file is None else index.find(file, where)
        if path is not None and path in listed:
            raise ManifestError(where, f"names {quote(image)}, which another table has too.", "Keep one of both.")
        listed.add(path)
        contradicted += sum(reading.get(NO_FINDING, False) and _named(reading) != [] for reading in readings.values())
        findings[image] = _combine(readings.values(), rule, listing)
        if path is not None and findings[image]:
            images[image] = path
        else:
            listing.drop(image, "its image is not here" if path is None else NOTHING_STATED)
    boxes = _read_boxes(part, findings, listing) if part.boxes is not None else PixelBoxes()
    for image, path in images.items():
        readings = part.readings[image]
        listing.rows.append(
            Row(
                image=relative_name(path, listing.root),
                label=stated_label(findings[image], listing.labels, normal=_is_normal(readings.values(), rule)),
                raw_label="; ".join(_describe(reader, readings[reader]) for reader in sorted(readings)),
                view="PA",  # of all images, as the publishers say
                boxes=_cell(image, path, boxes, sizes),
                findings=write_findings(findings[image]),
                license=options.license or LICENSE,
                label_provenance=options.provenance or _provenance(readings, rule),
            )
        )
    if part.labels is not part.boxes:
        listing.notes += part.labels.notes
        stated = {LABELS.get(term) for term in part.labels.columns}
        if missing := sorted({label for label in LABELS.values() if label is not None} - stated):
            listing.notes.append(f"{name} has no column of these findings, which are unknown: {', '.join(missing)}")
    if part.boxes is not None:
        listing.notes += [*part.boxes.notes, *boxes.notes(part.boxes.path.name, part.readings)]
    if contradicted:
        listing.notes.append(f"{name}: {contradicted:,} readings have a finding beside {NO_FINDING}, which is left out")


def _named(reading: Mapping[str, bool]) -> list[str]:
    """Return the findings that a reader named."""
    return [term for term, named in reading.items() if named and term != NO_FINDING]


def _describe(reader: str, reading: Mapping[str, bool]) -> str:
    terms = "|".join(_named(reading)) or (NO_FINDING if reading.get(NO_FINDING) else "")
    return f"{reader}: {terms}" if reader != _CONSENSUS else terms


def _combine(readings: Iterable[Mapping[str, bool]], rule: str, listing: Listing) -> dict[str, bool]:
    """Return the findings that the readers state together.

    Who names a consolidation has seen an opacity of the lung: readers who name different ones agree on that.
    """
    by_label = []
    for reading in readings:
        labels: dict[str, bool] = {}
        for term, named in reading.items():
            if (label := LABELS.get(term)) is not None:
                labels[label] = labels.get(label, False) or named
        for label in [label for label, named in labels.items() if named]:
            labels |= {wider: True for wider in listing.labels.ancestors(label) if wider in labels}
        by_label.append(labels)
    combined = combine_readings(by_label, rule)
    unknown = {label for labels in by_label for label in labels} - {*combined}
    return without_contradictions(combined, unknown, listing.labels)


def _is_normal(readings: Iterable[Mapping[str, bool]], rule: str) -> bool:
    """Return whether the readers together call an image one without a finding."""
    votes = [reading.get(NO_FINDING, False) and not _named(reading) for reading in readings]
    return sum(votes) * 2 > len(votes) if rule == "majority" else all(votes)


def _provenance(readings: Mapping[str, object], rule: str) -> str:
    if _CONSENSUS in readings:
        return "consensus of five radiologists (Nguyen 2022)"
    return f"{len(readings)} radiologists apart: {_RULES[rule]} (Nguyen 2022)"


def _read_boxes(part: ReaderTables, findings: Mapping[str, Mapping[str, bool]], listing: Listing) -> PixelBoxes:
    """Return the boxes of the findings that count as present, by any of their readers.

    A box does not say what it is around. One around an enlarged aorta must not speak for another finding of the image.
    """
    table, boxes = part.boxes, PixelBoxes()
    assert table is not None
    for image in part.readings:
        boxes.look(image)
    left_out: Counter[str] = Counter()
    columns = [table.cells(name, f"column {name!r}") for name in ("image_id", "class_name", *_CORNERS)]
    for place, (name, term, *corners) in enumerate(zip(*columns, strict=True)):
        where, image, term = table.where(place), name.strip(), term.strip()
        _check_term(term, f"{where}, column 'class_name'")
        if not any(corner.strip() for corner in corners):
            continue  # a finding of the whole image, or none
        label = LABELS.get(term)
        if label is None:
            left_out["a finding without a label"] += 1
        elif not findings.get(image, {label: True}).get(label):
            left_out["a finding that does not count as present"] += 1
        else:
            left, top, right, bottom = corners
            boxes.add_corners(image, (left, top, right, bottom), where, term)
    listing.notes += [f"{table.path.name}: {count:,} boxes of {why} are left out" for why, count in left_out.items()]
    return boxes


def _read_sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Return width and height of the DICOM files by image, from the tables that come with resized images."""
    sizes: dict[str, tuple[int, int]] = {}
    for name in _SIZES:
        if (table := _table(folder, name)) is None:
            continue
        columns = (table.cells(column, f"column {column!r}") for column in ("image_id", "dim1", "dim0"))
        for place, (image, width, height) in enumerate(zip(*columns, strict=True)):
            sides = [int(side) if side.strip().isdecimal() else 0 for side in (width, height)]
            if not all(0 < side <= _MOST_PIXELS for side in sides):
                raise ManifestError(
                    table.where(place),
                    f"has the size {quote(f'{height}, {width}')}.",
                    f"Write rows and columns, 1 to {_MOST_PIXELS:,}.",
                )
            sizes[image.strip()] = sides[0], sides[1]
    return sizes


def _cell(image: str, path: Path, boxes: PixelBoxes, sizes: Mapping[str, tuple[int, int]]) -> str | None:
    """Return the cell ``boxes`` of an image.

    Raises:
        ManifestError: Its boxes are those of a larger image.
    """
    if not boxes.has_boxes(image):
        return boxes.cell(image, 1, 1)
    width, height = sizes.get(image) or pixel_size(path)
    right, bottom = boxes.extent(image)
    if right > _BEYOND * width or bottom > _BEYOND * height:
        raise ManifestError(
            str(path),
            f"has {width}x{height} pixels, and its boxes reach to {right:g}x{bottom:g}.",
            "Boxes count in pixels of the DICOM files. For images of another size put train_meta.csv (image_id, dim0, "
            "dim1: rows and columns of the DICOM file) beside the tables.",
        )
    return boxes.cell(image, width, height)


SOURCE = Source(
    "vindr-cxr",
    "VinDr-CXR: findings and boxes of several radiologists, PA",
    scan,
    options=frozenset({"readers"}),
)
