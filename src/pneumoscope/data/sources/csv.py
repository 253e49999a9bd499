"""Any table of images: one CSV row per image, the columns named by options.

A term is mapped as it stands, whole: NIH's ``Finding Labels`` of ``Effusion|Pneumonia`` is one term, not two, and needs
its own ``--map``. A row without a mapping is an error, or is dropped and listed when the user says so.
"""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import LabelError, ManifestError, UsageError
from pneumoscope.core.labels import LABELS, check_label
from pneumoscope.core.registry import several, suggestion
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, relative_name
from pneumoscope.data.source_table import (
    SEX_TERMS,
    VIEW_TERMS,
    cell_text,
    find_image,
    index_files,
    map_term,
    parse_age,
    read_table,
    require_column,
)
from pneumoscope.imaging.files import why_not_image

COLUMNS = ("image", "label", "patient_id", "study_id", "view", "sex", "age")
"""Manifest columns that a table's column can fill; the first two are needed."""


def scan(path: Path, options: ImportOptions) -> Listing:
    """List the rows of the table ``path``; images are looked for under ``options.images`` (the table's own folder)."""
    if not path.is_file():
        raise UsageError(
            str(path),
            "is a folder; the source 'csv' needs the table.",
            "Name the CSV file, and the folder as `images`.",
        )
    folder = options.images or path.parent
    if not folder.is_dir():
        raise UsageError(argument("images", folder), "there is no such folder.")
    table = read_table(path)
    columns = {"image": "image", "label": "label", **options.columns}
    for field, name in columns.items():
        require_column(table, name, argument("columns", {field: name}), path)
    for name, label in options.mapping.items():
        check_label(label, argument("mapping", {name: label}))
    mapping = {**{label: label for label in LABELS}, **options.mapping}

    listing, index = Listing(root=folder), index_files(folder)
    unmapped: dict[str, int] = {}
    missing: list[str] = []
    taken: dict[Path, int] = {}
    cells = {field: table[name].tolist() for field, name in columns.items()}
    for number in range(len(table)):
        cell = {field: values[number] for field, values in cells.items()}
        where = f"{path.name}, row {number}"
        name, raw = cell["image"], cell["label"]
        image = find_image(index, name, where)
        if image is not None:
            if image in taken:
                raise ManifestError(where, f"names {name!r} again; row {taken[image]} did.", "One row per image.")
            taken[image] = number
        if raw not in mapping:
            unmapped[raw] = unmapped.get(raw, 0) + 1
            listing.drop(name, f"label {raw!r} is not mapped")
        elif image is None:
            missing.append(name)
            listing.drop(name, f"its image is not under {folder}")
        else:
            listing.rows.append(
                Row(
                    image=relative_name(image, folder),
                    label=mapping[raw],
                    raw_label=raw,
                    patient_id=cell_text(cell.get("patient_id", "")),
                    study_id=cell_text(cell.get("study_id", "")),
                    view=map_term(cell.get("view", ""), VIEW_TERMS, f"{where}, view"),
                    sex=map_term(cell.get("sex", ""), SEX_TERMS, f"{where}, sex"),
                    age=parse_age(cell.get("age", ""), f"{where}, age"),
                    license=options.license,
                    label_provenance=options.provenance or f"column {columns['label']!r} of {path.name}",
                )
            )
    _refuse(path, options, unmapped, missing)
    for file in dict.fromkeys(file for files in index.values() for file in files):
        if file not in taken and file != path:
            listing.drop(relative_name(file, folder), why_not_image(file) or "no row in the table")
    return listing


def _refuse(path: Path, options: ImportOptions, unmapped: dict[str, int], missing: list[str]) -> None:
    """Refuse unmapped terms and missing images, unless the user said to drop them."""
    if unmapped and not options.drop_unmapped:
        first = next(iter(unmapped))
        raise LabelError(
            str(path),
            f"no label for {several(unmapped)} ({sum(unmapped.values())} rows).{suggestion(first, options.mapping)}",
            f"Give {argument('mapping', {first: 'LABEL'})}, for each (labels: {', '.join(LABELS)}), or "
            "`drop_unmapped=True` to leave them out.",
        )
    if missing and not options.drop_missing:
        raise ManifestError(
            str(path),
            f"{len(missing)} images are not under {options.images or path.parent}: {several(missing)}.",
            "Name their folder as `images`, or say `drop_missing=True` to leave them out.",
        )


SOURCE = Source(
    "csv",
    "a CSV file with one row per image; columns named by options",
    scan,
    options=frozenset({"mapping", "images", "columns", "drop_unmapped", "drop_missing"}),
)
