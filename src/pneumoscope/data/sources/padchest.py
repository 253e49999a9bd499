"""PadChest: patients of one Spanish hospital, findings of the reports in 174 terms.

Bustos et al., PadChest: A large chest x-ray image dataset with multi-label annotated reports, Medical Image Analysis
2020. Layout: the table ``PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv`` (packed as ``.csv.gz`` or not, of any
date) and the images, named by its column ``ImageID`` in any folders. ``Labels`` is a list as Python writes it:
``['pleural effusion', 'cardiomegaly']``. Physicians labelled 27% of the reports, and a network that learned from them
the rest (``MethodLabel``). `padchest_terms` gives terms a label; the others stay in ``raw_label``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.registry import several, suggestion
from pneumoscope.data.cells import MAX_AGE, CellReader, cell_text, clean_manufacturer
from pneumoscope.data.finding_rows import NOTHING_STATED, stated_label
from pneumoscope.data.findings import write_findings
from pneumoscope.data.image_index import ImageIndex
from pneumoscope.data.padchest_terms import EXCLUDED, LABELS, NORMAL, UNCHANGED, UNCLEAR, find_findings, read_terms
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import read_table
from pneumoscope.imaging.files import why_not_image

LICENSE = "PadChest Dataset Research Use Agreement"
PROVENANCE = MappingProxyType(
    {
        "Physician": "physicians, from the report (Bustos 2020)",
        "RNN_model": "a neural network, from the report (Bustos 2020)",
    }
)
"""The column ``MethodLabel``, verbatim -> how the labels were made."""

VIEWS = MappingProxyType({"PA": "PA", "AP": "AP", "AP_horizontal": "AP Supine", "L": "L"})
"""The column ``Projection``, verbatim -> view of the manifest."""

OTHER_PROJECTIONS = frozenset({"COSTAL", "EXCLUDE", "UNK", ""})
_NEEDED = ("ImageID", "Labels", "Projection", "PatientID", "StudyID", "PatientSex_DICOM", "PatientBirth",
           "StudyDate_DICOM", "MethodLabel")  # fmt: skip
_MANUFACTURER = "Manufacturer_DICOM"
"""A column that cut tables lack."""
_OTHER_SEX = "O"  # DICOM's "other", PS3.3 C.7.1.1


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the frontal images; laterals come in with the view ``L``."""
    paths = sorted(path for ending in ("csv", "csv.gz") for path in folder.glob(f"PADCHEST_*labels*.{ending}"))
    if not paths:
        raise ManifestError(
            str(folder), "has no PADCHEST_chest_x_ray_images_labels_*.csv.", "Name the folder that holds the table."
        )
    names = sorted({path.name.removesuffix(".gz") for path in paths})
    if len(names) > 1:
        raise ManifestError(str(folder), f"has several tables: {', '.join(names)}.", "Keep one of them there.")
    table = read_table(paths[0])
    wanted = (*_NEEDED, *(name for name in (_MANUFACTURER,) if name in table.columns))
    cells = {name: table.cells(name, f"column {name!r}") for name in wanted}
    listing, reader = Listing(root=folder, notes=list(table.notes)), CellReader(options.lenient_columns)
    index = ImageIndex(folder, files_under(folder, listing))
    listed: set[Path] = set()
    without_label: Counter[str] = Counter()
    for place in range(len(table)):
        cell = {name: values[place].strip() for name, values in cells.items()}
        name, where = cell["ImageID"], table.where(place)
        image, view = index.find(name, where), _find(cell["Projection"], VIEWS, "Projection", where)
        if image in listed:
            raise ManifestError(where, f"names the image {quote(name)} again.", "Keep one row for each image.")
        if image is not None:
            listed.add(image)
        terms = read_terms(cell["Labels"], where)
        findings = find_findings(terms)
        if view is None or (view == "L" and "L" not in options.views):
            listing.drop(name, f"projection {quote(cell['Projection'])}, not frontal")
        elif image is None:
            listing.drop(name, "its image is not here")
        elif EXCLUDED in terms or not findings:
            listing.drop(name, "the publishers exclude it" if EXCLUDED in terms else NOTHING_STATED)
        else:
            without_label.update({*terms} - {NORMAL, UNCHANGED, *LABELS, *UNCLEAR})
            sex = cell["PatientSex_DICOM"]
            listing.rows.append(
                Row(
                    image=relative_name(image, folder),
                    label=stated_label(findings, listing.labels, normal=NORMAL in terms),
                    raw_label=cell["Labels"],
                    patient_id=cell_text(cell["PatientID"]),
                    study_id=cell_text(cell["StudyID"]),
                    view=view,
                    sex=None if sex == _OTHER_SEX else reader.sex(sex, where),
                    age=_age(cell["PatientBirth"], cell["StudyDate_DICOM"], where, reader),
                    manufacturer=clean_manufacturer(cell.get(_MANUFACTURER)),
                    findings=write_findings(findings),
                    license=options.license or LICENSE,
                    label_provenance=options.provenance or _find(cell["MethodLabel"], PROVENANCE, "MethodLabel", where),
                )
            )
    listing.notes += reader.finish()
    if without_label:
        terms = [term for term, _ in without_label.most_common()]
        listing.notes.append(f"{len(terms):,} terms have no label and are in raw_label alone: {several(terms)}")
    for path in index.files:
        if path not in listed and path not in paths:
            listing.drop(relative_name(path, folder), why_not_image(path) or f"no row in {paths[0].name}")
    return listing


def _find(term: str, table: Mapping[str, str], column: str, where: str) -> str | None:
    """Return the meaning of a term; None for a projection that is no frontal or lateral one."""
    if term in table:
        return table[term]
    if column == "Projection" and term in OTHER_PROJECTIONS:
        return None
    raise ManifestError(
        f"{where}, column {column!r}", f"has {quote(term)}.{suggestion(term, table)}", f"Terms: {', '.join(table)}."
    )


def _age(birth: str, date: str, where: str, reader: CellReader) -> float | None:
    """Return the difference of the years of the study and of birth, which is all that is published."""
    if cell_text(birth) is None or cell_text(date) is None:
        return None
    year, born = date[:4], birth.removesuffix(".0")
    age = int(year) - int(born) if year.isdecimal() and born.isdecimal() else -1
    if not 0 <= age <= MAX_AGE:
        reader.add_bad("age", f"born {birth}, study {date}", where)
        return None
    return float(age)


SOURCE = Source("padchest", "PadChest: findings of the reports, by physicians or a network", scan)
