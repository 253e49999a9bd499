"""The Montgomery County set: adults with tuberculosis or none, PA, from screening in the USA.

Jaeger et al., Quantitative Imaging in Medicine and Surgery 2014; masks by Candemir et al., IEEE TMI 2014. Names begin
with ``MCUCXR``; `tuberculosis_sets` describes the layout. The masks ``ManualMask/leftMask`` and ``rightMask`` show one
lung each, without the heart.
"""

from __future__ import annotations

import re
from pathlib import Path

from pneumoscope.data.source import ImportOptions, Listing, Source
from pneumoscope.data.tuberculosis_sets import OPTIONS, scan_tuberculosis_set

LICENSE = "National Library of Medicine, public"
PROVENANCE = "radiologists of the county (Jaeger 2014); the digit of the file name"

_SEX = re.compile(r"Sex:\s*([A-Z]+)", re.IGNORECASE)
_AGE = re.compile(r"Age:\s*(\S+)", re.IGNORECASE)


def scan(folder: Path, options: ImportOptions) -> Listing:
    """List the images in ``folder`` and below, each with the facts of its clinical reading."""
    return scan_tuberculosis_set(folder, options, "MCUCXR", _read_facts, license=LICENSE, provenance=PROVENANCE)


def _read_facts(text: str) -> tuple[str, str]:
    """Return sex and age from a reading such as ``Patient's Sex: F``, ``Patient's Age: 027Y`` in two lines."""
    sex, age = _SEX.search(text), _AGE.search(text)
    return "" if sex is None else sex[1], "" if age is None else age[1]


SOURCE = Source(
    "montgomery", "Montgomery County, Jaeger 2014: tuberculosis or normal, PA, with lung masks", scan, options=OPTIONS
)
