"""The sources that can be imported: one module per layout, listed here."""

from __future__ import annotations

from pneumoscope.core.registry import Registry
from pneumoscope.data.sources import csv, darwin, dicom, folder, ieee8023, kaggle, radiography
from pneumoscope.data.sources.base import Source

SOURCES: Registry[Source] = Registry("source")
"""Name -> source."""

for _module in (radiography, kaggle, ieee8023, darwin, dicom, folder, csv):
    SOURCES.add(_module.SOURCE.name, _module.SOURCE)
