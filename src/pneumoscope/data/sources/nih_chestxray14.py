"""NIH ChestX-ray14 with all its findings: which of the 14 are present in an image and which absent.

Wang et al., ChestX-ray8, CVPR 2017: a program mined the findings from the reports, and the absence of a finding means
that the report did not name it. Layout: the table ``Data_Entry_2017*.csv`` or ``findings.csv`` (columns of the
publishers), images named by its column ``Image Index`` in any folders, and, where it is there, ``BBox_List_2017.csv``
with boxes that a radiologist drew around findings of some 900 images, in pixels of the published 1024 x 1024. The
source ``nih`` reads the same layout for one label an image, and the RSNA's classes.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.registry import suggestion
from pneumoscope.data.finding_rows import PixelBoxes, stated_label
from pneumoscope.data.findings import list_findings, write_findings
from pneumoscope.data.source import ImportOptions, Listing, Row, Source
from pneumoscope.data.source_table import read_optional_table
from pneumoscope.data.sources.nih import FINDINGS, PROVENANCE, list_entries, read_entries, read_terms

LABELS = MappingProxyType(
    {
        "Atelectasis": "atelectasis",
        "Cardiomegaly": "cardiomegaly",
        "Consolidation": "consolidation",
        "Edema": "edema",
        "Effusion": "pleural-effusion",
        "Emphysema": "emphysema",
        "Fibrosis": "pulmonary-fibrosis",
        "Hernia": "hernia",
        "Infiltration": "infiltration",
        "Mass": "mass",
        "Nodule": "nodule",
        "Pleural_Thickening": "pleural-thickening",
        "Pneumonia": "pneumonia",
        "Pneumothorax": "pneumothorax",
    }
)
"""The column ``Finding Labels``, verbatim -> label."""

BOXES = "BBox_List_2017.csv"
_SIDE = 1024  # pixels of the published images, which the boxes count in
_BOXED = frozenset({*FINDINGS, "Infiltrate"})  # the table of boxes writes one finding otherwise
_CORNERS = ("Bbox [x", "y", "w", "h]")


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images of the table, each with its findings, boxes, patient, age, sex and view."""
    entries = read_entries(folder)
    boxes, vocabulary = _read_boxes(folder / BOXES), options.vocabulary

    def describe(name: str, found: str, where: str) -> Row | str:
        terms = read_terms(found, where)
        findings = list_findings((LABELS[term] for term in terms), LABELS.values())
        return Row(
            image="",
            label=stated_label(findings, vocabulary, normal=not terms),
            raw_label=found,
            boxes=boxes.cell(name, _SIDE, _SIDE),
            findings=write_findings(findings),
            license=options.license or "public; cite Wang 2017",
            label_provenance=options.provenance or PROVENANCE,
        )

    listing = list_entries(folder, options, entries, describe)
    listing.notes += boxes.notes(BOXES, set(entries.names))
    return listing


def _read_boxes(path: Path) -> PixelBoxes:
    """Return the boxes by image; none where the table is not there."""
    boxes = PixelBoxes()
    table = read_optional_table(path)
    if table is not None:
        images, findings, *corners = (
            table.cells(name, f"column {name!r}") for name in ("Image Index", "Finding Label", *_CORNERS)
        )
        for place, (image, finding) in enumerate(zip(images, findings, strict=True)):
            where = table.where(place)
            if finding.strip() not in _BOXED:
                raise ManifestError(
                    f"{where}, column 'Finding Label'",
                    f"has {quote(finding)}.{suggestion(finding, _BOXED)}",
                    f"Findings: {', '.join(sorted(_BOXED))}.",
                )
            left, top, width, height = (column[place] for column in corners)
            boxes.add(image.strip(), (left, top, width, height), where, finding.strip())
    return boxes


SOURCE = Source("nih-chestxray14", "NIH ChestX-ray14: all 14 findings, present or absent, and boxes", scan)
