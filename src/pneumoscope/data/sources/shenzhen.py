"""The Shenzhen set: adults with tuberculosis or none, PA, one hospital, with lung masks.

Jaeger et al., Quantitative Imaging in Medicine and Surgery 2014; masks by Stirenko et al., IEEE ELNANO 2018. Names
begin with ``CHNCXR``; `tuberculosis_sets` describes the layout.
"""

from __future__ import annotations

import re
from pathlib import Path

from pneumoscope.data.source import ImportOptions, Listing, Source
from pneumoscope.data.tuberculosis_sets import OPTIONS, scan_tuberculosis_set

LICENSE = "National Library of Medicine, public; masks CC BY-NC-SA"
PROVENANCE = "radiologists of the hospital (Jaeger 2014); the digit of the file name"

_READING = re.compile(r"\b(female|male)\b[^\d]*(\d+)\s*([ym])", re.IGNORECASE)  # years or months


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in ``folder`` and below, each with its mask and the facts of its clinical reading."""
    return scan_tuberculosis_set(folder, options, "CHNCXR", _read_facts, license=LICENSE, provenance=PROVENANCE)


def _read_facts(text: str) -> tuple[str, str]:
    """Return sex and age from a reading such as ``male 45yrs`` in its first line."""
    match = _READING.search(text)
    if match is None:
        return "", ""
    return match[1], match[2] if match[3].lower() == "y" else f"{int(match[2]) / 12:.2f}"


SOURCE = Source(
    "shenzhen", "Shenzhen hospital, Jaeger 2014: tuberculosis or normal, PA, with lung masks", scan, options=OPTIONS
)
