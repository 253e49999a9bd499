"""COVIDGR-1.0: radiographs of one Spanish hospital and one kind of device, with a positive PCR or normal, PA.

Tabik et al., COVIDGR dataset and COVID-SDNet methodology for predicting COVID-19 based on Chest X-Ray images, IEEE
Journal of Biomedical and Health Informatics 2020. Layout: folders ``P`` (positive) and ``N`` (negative, normal) and
``severity.csv`` (``Name``, ``Severity``: one row for each positive image, by its name without an ending). NORMAL-PCR+
is a patient with a positive test whose radiograph looks normal. Who the patients are is not published.
"""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.registry import several, suggestion
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import read_table
from pneumoscope.imaging.files import why_not_image

LICENSE = "terms of the University of Granada (DaSCI); cite Tabik 2020"
POSITIVE, NEGATIVE = "P", "N"
LABELS = {POSITIVE: "covid-19", NEGATIVE: "normal"}
PROVENANCE = {
    POSITIVE: "RT-PCR within 24 hours of the radiograph, positive (Tabik 2020)",
    NEGATIVE: "negative and normal by the publishers (Tabik 2020)",
}
SEVERITIES = ("NORMAL-PCR+", "MILD", "MODERATE", "SEVERE")
"""The publishers' grades; the first has no visible sign."""
TERMS = (NEGATIVE, POSITIVE, *SEVERITIES)
"""What ``raw_label`` may hold: N, the severity of a positive image, or P where it has none."""

_TABLE = "severity.csv"


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images of both folders; ``options.findings`` are terms of `TERMS`."""
    for term in options.findings:
        if term not in TERMS:
            raise UsageError(
                argument("findings", term), f"is unknown.{suggestion(term, TERMS)}", f"Terms: {', '.join(TERMS)}."
            )
    listing = Listing(root=folder)
    files = list(files_under(folder, listing))
    table = next((file for file in files if file.name == _TABLE), None)
    severities = {} if table is None else _read_severities(table)
    if table is None:
        listing.notes.append(f"no {_TABLE}: which positive images look normal is not known")
    used: set[str] = set()
    healthy_looking = 0
    for path in files:
        name = relative_name(path, folder)
        kind = next((part for part in reversed(path.relative_to(folder).parts[:-1]) if part in LABELS), None)
        if path == table:
            continue
        if (reason := why_not_image(path)) is not None or kind is None:
            listing.drop(name, reason or "not in P or N")
            continue
        severity = severities.get(path.stem)
        used.add(path.stem)
        if severity is not None and kind == NEGATIVE:
            raise ManifestError(name, f"is in N, and {_TABLE} calls it {severity}.", "Correct one of both.")
        term = severity or kind
        if options.findings and term not in options.findings:
            listing.drop(name, f"{quote(term)}, not among those asked for")
            continue
        healthy_looking += severity == SEVERITIES[0]
        listing.rows.append(
            Row(
                image=name,
                label=LABELS[kind],
                raw_label=term,
                view="PA",
                license=options.license or LICENSE,
                label_provenance=options.provenance or PROVENANCE[kind],
            )
        )
    if absent := sorted(severities.keys() - used):
        listing.notes.append(f"{_TABLE} has {len(absent):,} images that are not here: {several(absent)}")
    if healthy_looking:
        listing.notes.append(f"{healthy_looking:,} images with a positive test look normal ({SEVERITIES[0]})")
    return listing


def _read_severities(path: Path) -> dict[str, str]:
    """Return the severity of each positive image that has one."""
    table = read_table(path)
    severities: dict[str, str] = {}
    columns = (table.cells(name, f"column {name!r}") for name in ("Name", "Severity"))
    for place, cells in enumerate(zip(*columns, strict=True)):
        name, severity = (cell.strip() for cell in cells)
        if severity not in SEVERITIES:
            raise ManifestError(
                f"{table.where(place)}, column 'Severity'",
                f"has {quote(severity)}.{suggestion(severity, SEVERITIES)}",
                f"Severities: {', '.join(SEVERITIES)}.",
            )
        if severities.setdefault(name, severity) != severity:
            raise ManifestError(table.where(place), f"names {quote(name)} with another severity.", "Keep one row.")
    return severities


SOURCE = Source(
    "covidgr", "COVIDGR-1.0: positive PCR by severity, or normal, one hospital, PA", scan, frozenset({"findings"})
)
