"""Any table of images: one CSV row per image, the columns named by options.

A term is mapped as it stands, whole: NIH's ``Finding Labels`` of ``Effusion|Pneumonia`` is one term, not two, and needs
its own ``--map``. A row without a mapping is an error, or is dropped and listed when the user says so.
"""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.arguments import argument, quote, shorten
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.labels import LabelSet
from pneumoscope.core.registry import several, suggestion
from pneumoscope.data.cells import CellReader, cell_text, clean_manufacturer
from pneumoscope.data.findings import find_contradiction, parse_findings, write_findings
from pneumoscope.data.image_index import ImageIndex, is_address, is_foreign
from pneumoscope.data.label_terms import LabelTerms
from pneumoscope.data.mask_columns import MASK_COLUMNS, MaskColumns
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import read_table
from pneumoscope.imaging.files import why_not_image

COLUMNS = (
    "image", "label", "findings", "patient_id", "study_id", "view", "sex", "age", "manufacturer", *MASK_COLUMNS,
    "lung_definition",
)  # fmt: skip
"""Manifest columns that a table's column can fill; the first two are needed."""


def scan(path: Path, options: ImportOptions) -> Listing:
    """List the rows of the table ``path``; images are looked for under ``options.images`` (the table's own folder)."""
    if not path.is_file():
        raise UsageError(
            str(path),
            "is a folder; the source 'csv' needs the table.",
            "Name the CSV file, and the folder as `images`.",
        )
    for name, column in options.columns.items():
        if name not in COLUMNS:
            raise UsageError(
                argument("columns", {name: column}),
                f"fills no column of a manifest.{suggestion(name, COLUMNS)}",
                f"The keys are: {', '.join(COLUMNS)}.",
            )
    folder = options.images or path.parent
    if not folder.is_dir():
        raise UsageError(argument("images", folder), "there is no such folder.")
    table = read_table(path, options.encoding)
    columns = {"image": "image", "label": "label", **options.columns}
    cells = {name: table.cells(column, argument("columns", {name: column})) for name, column in columns.items()}
    terms = LabelTerms(options.mapping, options.vocabulary, keep=options.keep_terms)
    reader = CellReader(options.lenient_columns)

    listing = Listing(root=folder, notes=list(table.notes))
    index = ImageIndex(folder, files_under(folder, listing), path)
    masks = MaskColumns(index)
    missing: list[str] = []
    repeated: list[str] = []
    rows_of: dict[Path, int] = {}
    for place in range(len(table)):
        cell = {name: values[place] for name, values in cells.items()}
        where, name, raw = table.where(place), cell["image"].strip(), cell["label"]
        image = index.find(name, where) if name else None
        if image is not None and rows_of.setdefault(image, place) != place:
            repeated.append(f"{where}: names {quote(name)} again; row {table.numbers[rows_of[image]]} did")
            continue
        label = terms.use(raw)
        if label is None:
            listing.drop(
                shorten(name, 255) or where,
                f"label {quote(raw)} is not mapped" if raw.strip() else "its label is blank",
            )
        elif image is None:
            missing.append(name or f"{where}: blank")
            listing.drop(
                shorten(name, 255) or where, f"its image is not under {folder}" if name else "it names no image"
            )
        else:
            listing.rows.append(
                Row(
                    image=relative_name(image, folder),
                    label=label,
                    raw_label=raw,
                    findings=_read_findings(cell.get("findings", ""), label, where, options.vocabulary),
                    patient_id=cell_text(cell.get("patient_id", "")),
                    study_id=cell_text(cell.get("study_id", "")),
                    view=reader.view(cell.get("view", ""), where),
                    sex=reader.sex(cell.get("sex", ""), where),
                    age=reader.age(cell.get("age", ""), where),
                    manufacturer=clean_manufacturer(cell.get("manufacturer")),
                    **masks.find_all(cell, where, image),
                    license=options.license,
                    label_provenance=options.provenance or f"column {columns['label']!r} of {path.name}",
                )
            )
    if repeated:
        raise ManifestError(str(path), f"{several(repeated, 20)}.", "One row per image.")
    masks.check(path)
    listing.notes += reader.finish()
    if terms.unknown and not options.drop_unmapped:
        raise terms.refuse(str(path), "rows")
    if missing and not options.drop_missing:
        raise _missing_images(path, folder, index, missing)
    listing.notes += terms.notes()
    listing.labels = terms.labels
    if index.other_case:
        listing.notes.append(f"{index.other_case:,} images are named in other case than their files")
    for file in index.files:
        if file not in rows_of and file not in masks.files and file != path:
            listing.drop(relative_name(file, folder), why_not_image(file) or "no row in the table")
    return listing


def _read_findings(text: str, label: str, where: str, labels: LabelSet) -> str | None:
    """Return a cell of findings as a manifest holds it; None where it is blank.

    Raises:
        ManifestError: It is no such cell, or contradicts the label of its row.
    """
    if not text.strip():
        return None
    findings = parse_findings(text, where, labels)
    problem = find_contradiction(label, findings, labels)
    if problem is not None:
        raise ManifestError(
            where,
            f"has the label {quote(label)} and the findings {quote(text.strip())}: {problem}.",
            "An image's label and its findings must agree: correct one of them.",
        )
    return write_findings(findings)


def _missing_images(path: Path, folder: Path, index: ImageIndex, missing: list[str]) -> ManifestError:
    """Return the error for rows without an image."""
    ending = next((f" A file is {quote(file)}." for name in missing if (file := index.with_ending(name))), "")
    foreign, addresses = [name for name in missing if is_foreign(name)], [name for name in missing if is_address(name)]
    way_out = "Name their folder as `images`, or leave them out: `drop_missing=True`."
    if addresses:
        count = f"{len(addresses):,} are web addresses" if len(addresses) > 1 else "1 is a web address"
        way_out = f"{count}: download the images, and write the names of their files. {way_out}"
    if foreign:
        count = f"{len(foreign):,} are absolute paths" if len(foreign) > 1 else "1 is an absolute path"
        examples = ((name, file) for name in foreign if (file := index.with_tail(name)) is not None)
        name, example = next(examples, (foreign[0], None))
        how = f"{quote(example)} in place of {quote(name)}" if example else "without the folders of that place"
        way_out = f"{count} of another folder or computer: write paths from {folder}, {how}. {way_out}"
    return ManifestError(
        str(path), f"{len(missing):,} images are not under {folder}: {several(missing, longest=80)}.{ending}", way_out
    )


SOURCE = Source(
    "csv",
    "a CSV file with one row per image; columns named by options",
    scan,
    options=frozenset({"mapping", "images", "columns", "drop_unmapped", "drop_missing", "encoding", "keep_terms"}),
)
