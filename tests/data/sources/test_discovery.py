"""A source is one module with the name of the source; no other file lists it."""

from __future__ import annotations

from pneumoscope.data.source_names import source_names
from pneumoscope.data.sources import SOURCES


def test_every_module_of_the_folder_is_a_source():
    assert list(SOURCES) == source_names()
    assert list(SOURCES) == [
        "bimcv",
        "chexpert",
        "covidgr",
        "csv",
        "darwin",
        "dicom",
        "folder",
        "ieee8023",
        "jsrt",
        "kaggle-pneumonia",
        "mimic-cxr-jpg",
        "montgomery",
        "nih",
        "nih-chestxray14",
        "openi",
        "padchest",
        "radiography",
        "rsna-pneumonia",
        "shenzhen",
        "vindr-cxr",
    ]


def test_every_source_has_a_summary():
    for name in SOURCES:
        assert SOURCES.get(name).summary
