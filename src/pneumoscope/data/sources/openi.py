"""Open-i, the Indiana University chest X-ray collection: reports of 3,996 patients, coded by hand in MeSH terms.

Demner-Fushman et al., Preparing a collection of radiology examinations for distribution and retrieval, Journal of the
American Medical Informatics Association 2016. Layout: the reports ``ecgen-radiology/N.xml`` (``uId``, ``MeSH/major``),
or Kaggle's ``indiana_reports.csv`` (``uid``, ``MeSH``: terms with semicolons between them); the images, called
``CXRN_IM-....png`` by the library and ``N_IM-....dcm.png`` on Kaggle, in any folders; and Kaggle's
``indiana_projections.csv`` (``uid``, ``filename``, ``projection``), which says what is frontal and what lateral. A
term is a finding with its places and degrees: ``Opacity/lung/base/left``. The tables below give terms a label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from xml.etree import ElementTree

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import LabelSet
from pneumoscope.core.registry import several
from pneumoscope.data.cells import cell_text
from pneumoscope.data.finding_rows import NOTHING_STATED, stated_label, without_contradictions
from pneumoscope.data.findings import list_findings, write_findings
from pneumoscope.data.source import ImportOptions, Listing, Row, Source, files_under, relative_name
from pneumoscope.data.source_table import read_table
from pneumoscope.imaging.files import why_not_image

LICENSE = "CC BY-NC-ND 4.0, Indiana University; cite Demner-Fushman 2016"
PROVENANCE = "coded by hand from the report (Demner-Fushman 2016)"
PROJECTIONS, REPORTS = "indiana_projections.csv", "indiana_reports.csv"

LABELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pulmonary atelectasis": ("atelectasis",),
        "cardiomegaly": ("cardiomegaly",),
        "cardiac shadow": ("cardiomegaly",),
        "consolidation": ("consolidation",),
        "pulmonary edema": ("edema",),
        "emphysema": ("emphysema",),
        "pulmonary emphysema": ("emphysema",),
        "bullous emphysema": ("emphysema",),
        "fractures, bone": ("fracture",),
        "hernia, hiatal": ("hernia",),
        "hernia, diaphragmatic": ("hernia",),
        "infiltrate": ("infiltration",),
        "opacity": ("lung-opacity",),
        "airspace disease": ("lung-opacity",),
        "mass": ("mass",),
        "nodule": ("nodule",),
        "pleural effusion": ("pleural-effusion",),
        "hemothorax": ("pleural-effusion",),
        "thickening": ("pleural-thickening",),
        "pneumonia": ("pneumonia",),
        "pneumothorax": ("pneumothorax",),
        "hydropneumothorax": ("pneumothorax", "pleural-effusion"),
        "hemopneumothorax": ("pneumothorax", "pleural-effusion"),
        "pulmonary fibrosis": ("pulmonary-fibrosis",),
        "catheters, indwelling": ("support-devices",),
        "tube, inserted": ("support-devices",),
        "tuberculosis": ("tuberculosis",),
    }
)
"""Finding in lower case -> labels."""

NEEDED: Mapping[str, str] = MappingProxyType(
    {"cardiac shadow": "enlarged", "mass": "lung", "nodule": "lung", "opacity": "lung", "thickening": "pleura"}
)
"""Finding -> the place or degree without which it leaves its label unknown."""

WEAKENED = frozenset({"borderline", "healed"})
"""Degrees that leave a label unknown: neither present nor surely absent."""

UNCLEAR: Mapping[str, str] = MappingProxyType(
    {
        "pulmonary congestion": "edema",
        "blister": "emphysema",
        "lung, hyperlucent": "emphysema",
        "pulmonary disease, chronic obstructive": "emphysema",
        "density": "lung-opacity",
        "calcified granuloma": "nodule",
        "granuloma": "nodule",
        "granulomatous disease": "nodule",
        "costophrenic angle": "pleural-effusion",
        "cicatrix": "pulmonary-fibrosis",
        "fibrosis": "pulmonary-fibrosis",
        "lung diseases, interstitial": "pulmonary-fibrosis",
        "implanted medical device": "support-devices",
        "medical device": "support-devices",
    }
)
"""Finding that leaves a label unknown."""

_NORMAL = "normal"
_NOT_CODED = frozenset({"no indexing", "technical quality of image unsatisfactory"})  # say nothing of findings
_LOOKED_FOR = tuple(dict.fromkeys(label for labels in LABELS.values() for label in labels))
_IMAGE = re.compile(r"(?:CXR)?(\d+)_(?:\d+_)?(IM-\d+(?:-\d+)*)(?:\.dcm)?", re.IGNORECASE)
_VIEWS: Mapping[str, str | None] = {"Frontal": None, "Lateral": "L"}  # nobody states PA or AP


class Report(NamedTuple):
    """The terms of a report, and where it stands."""

    terms: tuple[str, ...]
    where: str


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the frontal images with a coded report; laterals come in with the view ``L``."""
    listing = Listing(root=folder)
    files = list(files_under(folder, listing))
    reports, used = _read_reports(folder, files)
    path = next((file for file in files if file.name == PROJECTIONS), None)
    if path is None:
        # The library's own files do not say it, and ViewPosition of its DICOM files is PA for laterals too.
        raise ManifestError(
            str(folder),
            f"has no {PROJECTIONS}, which says what is frontal: about half of the images are laterals.",
            "Take it from Kaggle's copy of the set (raddar/chest-xrays-indiana-university), or write one with the "
            "columns uid, filename and projection (Frontal or Lateral).",
        )
    images = _find_images(files)
    table = read_table(path)
    listing.notes += table.notes
    columns = (table.cells(name, f"column {name!r}") for name in ("uid", "filename", "projection"))
    listed: dict[Path, str] = {}
    without_label: Counter[str] = Counter()
    for place, cells in enumerate(zip(*columns, strict=True)):
        uid, name, projection = (cell.strip() for cell in cells)
        where = table.where(place)
        if projection not in _VIEWS:
            raise ManifestError(
                f"{where}, column 'projection'", f"has {quote(projection)}.", "Write Frontal or Lateral."
            )
        image, report = images.get(_key(Path(name)) or ""), reports.get(uid)
        if image is not None:
            if image in listed:
                raise ManifestError(where, f"names {quote(name)} again; {listed[image]} did.", "Keep one row each.")
            listed[image] = where
        view = _VIEWS[projection]
        findings = {} if report is None else _find_findings(report.terms, listing.labels)
        if view == "L" and "L" not in options.views:
            listing.drop(name, "a lateral")
        elif image is None:
            listing.drop(name, "its image is not here")
        elif report is None or not findings:
            listing.drop(name, "its report is not here" if report is None else NOTHING_STATED)
        else:
            without_label.update(_without_label(report.terms))
            normal = [term.lower() for term in report.terms] == [_NORMAL]
            listing.rows.append(
                Row(
                    image=relative_name(image, folder),
                    label=stated_label(findings, listing.labels, normal=normal),
                    raw_label="; ".join(report.terms),
                    patient_id=uid,  # one report for each patient
                    view=view,
                    findings=write_findings(findings),
                    license=options.license or LICENSE,
                    label_provenance=options.provenance or PROVENANCE,
                )
            )
    if without_label:
        terms = [term for term, _ in without_label.most_common()]
        listing.notes.append(f"{len(terms):,} findings have no label and are in raw_label alone: {several(terms)}")
    for file in files:
        if file not in listed and file not in used and file != path:
            listing.drop(relative_name(file, folder), why_not_image(file) or f"no row in {PROJECTIONS}")
    return listing


def _read_reports(folder: Path, files: Iterable[Path]) -> tuple[dict[str, Report], set[Path]]:
    """Return the reports by their number, and their files."""
    reports: dict[str, Report] = {}
    used: set[Path] = set()
    for path in files:
        if path.suffix.lower() == ".xml" and (found := _read_xml(path)) is not None:
            uid, terms = found
            if uid in reports:
                raise ManifestError(str(path), f"is report {uid}, as is {reports[uid].where}.", "Keep one of both.")
            reports[uid] = Report(terms, str(path))
            used.add(path)
    table_path = next((path for path in files if path.name == REPORTS), None)
    if table_path is not None:
        used.add(table_path)
    if reports or table_path is None:
        if not reports:
            raise ManifestError(
                str(folder), f"has neither the reports ecgen-radiology/*.xml nor {REPORTS}.", "Name the set's folder."
            )
        return reports, used
    table = read_table(table_path)
    columns = (table.cells(name, f"column {name!r}") for name in ("uid", "MeSH"))
    for place, (uid, cell) in enumerate(zip(*columns, strict=True)):
        where = table.where(place)
        if uid.strip() in reports:
            raise ManifestError(where, f"is report {uid.strip()} again.", "Keep one row for each report.")
        terms = () if cell_text(cell) is None else tuple(term.strip() for term in cell.split(";") if term.strip())
        reports[uid.strip()] = Report(terms, where)
    return reports, used


def _read_xml(path: Path) -> tuple[str, tuple[str, ...]] | None:
    """Return number and major terms of a report; None for a file that is no report."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, LookupError, ValueError) as error:  # the last two: of its encoding
        raise ManifestError(str(path), f"is no readable XML: {error}.", "Download it again.") from error
    identity = root.find("uId")
    if identity is None or root.tag != "eCitation":
        return None
    terms = (" ".join((node.text or "").split()) for node in root.findall("MeSH/major"))
    return identity.get("id", "").upper().removeprefix("CXR"), tuple(term for term in terms if term)


def _find_images(files: Iterable[Path]) -> dict[str, Path]:
    """Return the images by patient and number, which the library and Kaggle write in two ways."""
    images: dict[str, Path] = {}
    for path in files:
        if (key := _key(path)) is None or why_not_image(path) is not None:
            continue
        if key in images:
            raise ManifestError(str(path), f"is the image of {images[key]} again.", "Name the folder of one copy.")
        images[key] = path
    return images


def _key(path: Path) -> str | None:
    match = _IMAGE.fullmatch(path.stem) or _IMAGE.fullmatch(path.name)
    return None if match is None else f"{match[1]} {match[2].upper()}"


def _split(term: str) -> tuple[str, set[str]]:
    """Return a term's finding, and its places and degrees."""
    finding, *qualifiers = (" ".join(part.split()).lower() for part in term.split("/"))
    return finding, set(qualifiers)


def _find_findings(terms: Iterable[str], labels: LabelSet) -> dict[str, bool]:
    """Return the findings that terms state; none where the report was not coded.

    Who coded a report looked for all terms, so that what is not named is absent.
    """
    present: list[str] = []
    unclear: set[str] = set()
    coded = False
    for finding, qualifiers in map(_split, terms):
        coded |= finding not in _NOT_CODED
        if finding in UNCLEAR:
            unclear.add(UNCLEAR[finding])
        elif qualifiers & WEAKENED or NEEDED.get(finding, "") not in {"", *qualifiers}:
            unclear.update(LABELS.get(finding, ()))
        else:
            present += LABELS.get(finding, ())
    if not coded:
        return {}
    unclear -= {*present}
    return without_contradictions(
        list_findings(present, (label for label in _LOOKED_FOR if label not in unclear)), unclear, labels
    )


def _without_label(terms: Iterable[str]) -> set[str]:
    """Return the findings of a report that no table knows."""
    return {finding for finding, _ in map(_split, terms)} - {_NORMAL, *_NOT_CODED, *LABELS, *UNCLEAR}


SOURCE = Source("openi", "Open-i (Indiana University): findings of reports, coded by hand", scan)
