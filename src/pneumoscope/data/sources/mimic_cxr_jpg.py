"""MIMIC-CXR-JPG: patients of the emergency department of one American hospital, 14 findings from the reports.

Johnson et al., MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs, 2019,
arXiv:1901.07042. Layout: ``mimic-cxr-2.0.0-chexpert.csv.gz`` (one row a study) and ``mimic-cxr-2.0.0-metadata.csv.gz``
(one row an image), each packed or not and of any version, and the images
``files/p10/p10000032/s50414267/DICOM_ID.jpg``, which are found by their name in any folders. A study's findings are
those of its report, and so those of each of its images. `chexpert_columns` says what the values mean.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.registry import suggestion
from pneumoscope.data.cells import cell_text
from pneumoscope.data.chexpert_columns import OPTIONS, ChexpertColumns
from pneumoscope.data.finding_rows import NOTHING_STATED
from pneumoscope.data.findings import write_findings
from pneumoscope.data.image_index import ImageIndex
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import SourceTable, read_table
from pneumoscope.imaging.files import why_not_image

LICENSE = "PhysioNet Credentialed Health Data License 1.5.0"
PROVENANCE = "mined from the reports by a program (Irvin 2019; Johnson 2019)"

VIEWS = MappingProxyType({"PA": "PA", "AP": "AP", "LATERAL": "L", "LL": "L", "XTABLE LATERAL": "L"})
"""The column ``ViewPosition``, verbatim -> view of the manifest."""

OTHER_VIEWS = frozenset(
    {"AP AXIAL", "AP LLD", "AP RLD", "PA LLD", "PA RLD", "LAO", "RAO", "LPO", "RPO", "SWIMMERS", "L5 S1", ""}
)
"""Oblique, decubitus and other special views, and a blank, which states no frontal one."""

_NEEDED = ("dicom_id", "subject_id", "study_id", "ViewPosition")


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the frontal images; laterals come in with the view ``L``."""
    findings, images = (_read(folder, kind) for kind in ("chexpert", "metadata"))
    columns = ChexpertColumns(findings, options.uncertain, options.vocabulary)
    rows_of_study: dict[str, int] = {}
    for place, study in enumerate(findings.cells("study_id", "column 'study_id'")):
        first = rows_of_study.setdefault(study.strip(), place)
        if first != place:
            raise ManifestError(
                findings.where(place),
                f"names the study {quote(study)} again; row {findings.numbers[first]} did.",
                "Keep one row for each study.",
            )
    readings = {study: columns.read(place) for study, place in rows_of_study.items()}
    cells = {name: images.cells(name, f"column {name!r}") for name in _NEEDED}
    listing = Listing(root=folder, notes=[*findings.notes, *images.notes])
    index = ImageIndex(folder, files_under(folder, listing))
    listed: set[Path] = set()
    for place in range(len(images)):
        name, patient, study, term = (cells[column][place].strip() for column in _NEEDED)
        where = images.where(place)
        view = _view(term, where)
        file = index.with_ending(name)  # people convert the images to other formats
        image = None if file is None else index.find(file, where)
        if image is not None and image in listed:
            raise ManifestError(where, f"names the image {quote(name)} again.", "Keep one row for each image.")
        reading = readings.get(study)
        if image is not None:
            listed.add(image)
        if view is None or (view == "L" and "L" not in options.views):
            listing.drop(name, f"view {quote(term)}, not stated to be frontal")
        elif image is None:
            listing.drop(name, "its image is not here")
        elif reading is None:
            listing.drop(name, NOTHING_STATED if study in readings else f"its study has no row in {findings.path.name}")
        else:
            listing.rows.append(
                Row(
                    image=relative_name(image, folder),
                    label=reading.label,
                    raw_label=reading.raw,
                    patient_id=cell_text(patient),
                    study_id=cell_text(study),
                    view=view,
                    findings=write_findings(reading.findings),
                    license=options.license or LICENSE,
                    label_provenance=options.provenance or PROVENANCE,
                )
            )
    listing.notes += columns.notes()
    for path in index.files:
        if path not in listed and path not in (findings.path, images.path):
            listing.drop(relative_name(path, folder), why_not_image(path) or f"no row in {images.path.name}")
    return listing


def _read(folder: Path, kind: str) -> SourceTable:
    """Return the table of this kind; of a packed and an unpacked one the unpacked one, which a user may have made."""
    paths = sorted(path for ending in ("csv", "csv.gz") for path in folder.glob(f"mimic-cxr-*-{kind}.{ending}"))
    if not paths:
        raise ManifestError(
            str(folder),
            f"has no mimic-cxr-2.0.0-{kind}.csv and no mimic-cxr-2.0.0-{kind}.csv.gz.",
            "Name the folder that holds both tables and files/.",
        )
    return read_table(paths[0])


def _view(term: str, where: str) -> str | None:
    """Return the view of a cell of ``ViewPosition``; None for one that is neither PA, AP nor lateral."""
    if term not in VIEWS and term not in OTHER_VIEWS:
        raise ManifestError(
            f"{where}, column 'ViewPosition'",
            f"has {quote(term)}.{suggestion(term, VIEWS)}",
            f"Views: {', '.join(filter(None, (*VIEWS, *sorted(OTHER_VIEWS))))}, or blank.",
        )
    return VIEWS.get(term)


SOURCE = Source("mimic-cxr-jpg", "MIMIC-CXR-JPG: 14 findings, from the reports", scan, options=OPTIONS)
