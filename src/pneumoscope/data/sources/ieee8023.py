"""covid-chestxray-dataset: radiographs of COVID-19 and other pneumonias from publications and case collections.

Cohen, Morrison and Dao, COVID-19 Image Data Collection, 2020, arXiv:2006.11988. ``metadata.csv`` lists more images than
any copy holds, among them CT slices, laterals and findings that were never filled in (``todo``). The source keeps
frontal radiographs whose finding the table below knows, and lists all others with a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.data.cells import VIEW_TERMS, CellReader, cell_text, find_term
from pneumoscope.data.image_index import ImageIndex
from pneumoscope.data.label_terms import check_mapping, refuse_terms
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import read_table
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
        "Tuberculosis": "tuberculosis",
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
    table = read_table(path, options.encoding)
    cells = {name: table.cells(name, f"column {name!r}") for name in _NEEDED}
    findings = {**FINDINGS, **check_mapping(options.mapping, options.vocabulary)}
    _check_choice(options, {term.strip() for term in cells["finding"]})
    views = FRONTAL | set(options.views)
    listing = Listing(folder, notes=list(table.notes), labels=options.vocabulary)
    reader = CellReader(options.lenient_columns)
    index = ImageIndex(folder, files_under(folder, listing))
    listed: set[Path | None] = set()
    unknown: dict[str, int] = {}
    for place in range(len(table)):
        cell = {name: values[place] for name, values in cells.items()}
        name = f"{cell['folder']}/{cell['filename']}"
        where = table.where(place)
        image = index.find(name, where)
        listed.add(image)
        finding = cell["finding"].strip()
        reason = _why_dropped(cell, finding, options.findings, views)
        if reason is not None or image is None:
            listing.drop(name, reason or "its image is not here")
            continue
        if finding not in findings:
            unknown[finding] = unknown.get(finding, 0) + 1
            listing.drop(name, f"finding {quote(finding)} is not mapped")
            continue
        patient, day = cell_text(cell["patientid"]), cell_text(cell["offset"])
        listing.rows.append(
            Row(
                image=relative_name(image, folder),
                label=findings[finding],
                raw_label=finding,
                patient_id=patient,
                study_id=f"{patient}, day {day}" if patient and day else None,
                view=reader.view(cell["view"], where),
                sex=reader.sex(cell["sex"], where),
                age=reader.age(cell["age"], where),
                license=cell_text(cell["license"]) or options.license,
                label_provenance=options.provenance or PROVENANCE,
            )
        )
    if unknown and not options.drop_unmapped:
        raise refuse_terms(str(path), unknown, "rows", findings, options.vocabulary)
    listing.notes += reader.finish()
    for file in index.files:
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
        return f"modality {quote(cell['modality'])}, not a radiograph"
    if finding in NO_FINDING_YET:
        return f"finding {quote(finding)}: no label"
    if findings and finding not in findings:
        return f"finding {quote(finding)}, not among those asked for"
    if find_term(cell["view"], VIEW_TERMS) not in views:
        return f"view {quote(cell['view'])}, not stated to be frontal"
    return None


SOURCE = Source(
    "ieee8023",
    "covid-chestxray-dataset: metadata.csv and images/",
    scan,
    options=frozenset({"mapping", "drop_unmapped", "findings", "modalities", "encoding"}),
)
