"""covid-chestxray-dataset: radiographs of COVID-19 and other pneumonias from publications and case collections.

Cohen, Morrison and Dao, COVID-19 Image Data Collection, 2020, arXiv:2006.11988. ``metadata.csv`` lists more images than
any copy holds, among them CT slices, laterals and findings that were never filled in (``todo``). The source keeps
frontal radiographs whose finding the table below knows, and lists all others with a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import LabelError, ManifestError, UsageError
from pneumoscope.core.labels import check_label
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

# The vocabulary's "pneumonia" is a pneumonia whose agent is neither a virus nor a bacterium, or is not stated.
_BACTERIAL = (
    "Bacterial", "Streptococcus", "Klebsiella", "Legionella", "E.Coli", "Chlamydophila",
    "Mycoplasma Bacterial Pneumonia",
    "Pneumonia/Bacterial", "Pneumonia/Bacterial/Streptococcus", "Pneumonia/Bacterial/Klebsiella",
    "Pneumonia/Bacterial/Legionella", "Pneumonia/Bacterial/E.Coli", "Pneumonia/Bacterial/Chlamydophila",
    "Pneumonia/Bacterial/Mycoplasma", "Pneumonia/Bacterial/Nocardia", "Pneumonia/Bacterial/Staphylococcus/MRSA",
)  # fmt: skip
_VIRAL = (
    "SARS", "Varicella", "Influenza",
    "Pneumonia/Viral", "Pneumonia/Viral/SARS", "Pneumonia/Viral/MERS-CoV", "Pneumonia/Viral/Varicella",
    "Pneumonia/Viral/Influenza", "Pneumonia/Viral/Influenza/H1N1", "Pneumonia/Viral/Herpes",
)  # fmt: skip
_PNEUMONIA = (
    "Pneumonia", "Pneumocystis", "Lipoid",
    "Pneumonia/Fungal", "Pneumonia/Fungal/Pneumocystis", "Pneumonia/Fungal/Aspergillosis", "Pneumonia/Lipoid",
    "Pneumonia/Aspiration",
)  # fmt: skip
FINDINGS: Mapping[str, str] = MappingProxyType(
    {
        "COVID-19": "covid-19",
        "COVID-19, ARDS": "covid-19",
        "Pneumonia/Viral/COVID-19": "covid-19",
        "No Finding": "normal",
        "ARDS": "other",
        "Tuberculosis": "other",
        **dict.fromkeys(_BACTERIAL, "bacterial-pneumonia"),
        **dict.fromkeys(_VIRAL, "viral-pneumonia"),
        **dict.fromkeys(_PNEUMONIA, "pneumonia"),
    }
)
"""The column ``finding``, verbatim -> label."""

NO_FINDING_YET = frozenset({"todo", "Unknown", ""})
_NEEDED = ("patientid", "offset", "sex", "age", "finding", "view", "modality", "folder", "filename", "license")
FRONTAL = frozenset({"PA", "AP", "AP Supine"})
RADIOGRAPH = "X-ray"
"""The one term of the column ``modality`` that is a projection radiograph."""
PROVENANCE = "column 'finding', taken from the publication or case report (Cohen 2020)"


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the rows of ``metadata.csv`` that are frontal radiographs with a finding and an image.

    ``options.findings`` are whole terms of the column ``finding``: ``COVID-19`` is not ``COVID-19, ARDS``.
    """
    path = folder / "metadata.csv"
    if not path.is_file():
        raise ManifestError(str(folder), "has no metadata.csv.", "Name the folder that holds metadata.csv and images/.")
    table = read_table(path)
    for name in _NEEDED:
        require_column(table, name, f"column {name!r}", path)
    for name, to in options.mapping.items():
        check_label(to, argument("mapping", {name: to}))
    findings = {**FINDINGS, **options.mapping}
    _check_choice(options, {str(term).strip() for term in table.finding})
    views = FRONTAL | set(options.views)
    listing, index = Listing(root=folder), index_files(folder)
    listed: set[Path | None] = set()
    unknown: dict[str, int] = {}
    for number in range(len(table)):
        cell = {str(name): str(value) for name, value in table.iloc[number].items()}
        name = f"{cell['folder']}/{cell['filename']}"
        where = f"metadata.csv, row {number}"
        image = find_image(index, name, where)
        listed.add(image)
        finding = cell["finding"].strip()
        reason = _why_dropped(cell, finding, options.findings, views)
        if reason is not None or image is None:
            listing.drop(name, reason or "its image is not here")
            continue
        if finding not in findings:
            unknown[finding] = unknown.get(finding, 0) + 1
            listing.drop(name, f"finding {finding!r} is not mapped")
            continue
        patient, day = cell_text(cell["patientid"]), cell_text(cell["offset"])
        listing.rows.append(
            Row(
                image=relative_name(image, folder),
                label=findings[finding],
                raw_label=finding,
                patient_id=patient,
                study_id=f"{patient}, day {day}" if patient and day else None,
                view=map_term(cell["view"], VIEW_TERMS, f"{where}, view"),
                sex=map_term(cell["sex"], SEX_TERMS, f"{where}, sex"),
                age=parse_age(cell["age"], f"{where}, age"),
                license=cell_text(cell["license"]) or options.license,
                label_provenance=options.provenance or PROVENANCE,
            )
        )
    if unknown and not options.drop_unmapped:
        first = next(iter(unknown))
        raise LabelError(
            str(path),
            f"no label for {several(unknown)} ({sum(unknown.values())} rows).{suggestion(first, findings)}",
            f"Give {argument('mapping', {first: 'LABEL'})}, for each, or `drop_unmapped=True` to leave them out.",
        )
    for file in dict.fromkeys(file for files in index.values() for file in files):
        if file not in listed and file != path:
            listing.drop(relative_name(file, folder), why_not_image(file) or "no row in metadata.csv")
    return listing


def _check_choice(options: ImportOptions, present: Collection[str]) -> None:
    """Refuse findings that the table does not have, and modalities that are no radiographs."""
    for finding in options.findings:
        if finding not in present or finding in NO_FINDING_YET:
            has = "no such finding" if finding not in present else "it, as a finding that was never filled in"
            raise UsageError(
                argument("findings", finding),
                f"metadata.csv has {has}.{suggestion(finding, present)}",
                f"Its findings: {', '.join(sorted(set(present) - NO_FINDING_YET))}.",
            )
    for modality in options.modalities:
        if modality != RADIOGRAPH:
            raise UsageError(argument("modalities", modality), f"is not a projection radiograph; {RADIOGRAPH!r} is.")


def _why_dropped(
    cell: Mapping[str, str], finding: str, findings: Collection[str], views: Collection[str | None]
) -> str | None:
    """Return why a row of the table is not a radiograph of these views with one of these findings, or None."""
    if cell["modality"] != RADIOGRAPH:
        return f"modality {cell['modality']!r}, not a radiograph"
    if finding in NO_FINDING_YET:
        return f"finding {finding!r}: no label"
    if findings and finding not in findings:
        return f"finding {finding!r}, not among those asked for"
    if VIEW_TERMS.get(cell["view"].strip()) not in views:
        return f"view {cell['view']!r}, not stated to be frontal"
    return None


SOURCE = Source(
    "ieee8023",
    "covid-chestxray-dataset: metadata.csv and images/",
    scan,
    options=frozenset({"mapping", "drop_unmapped", "findings", "modalities"}),
)
