"""Open-i: terms of coded reports become findings, and a table says which images are frontal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES

REPORTS = {
    "1": ["normal"],
    "2": ["Cardiomegaly/mild", "Opacity/lung/base/left", "Calcinosis/aorta"],
    "3": ["Cardiomegaly/borderline", "Fractures, Bone/ribs/left/healed", "Mass/breast/large"],
    "4": ["No Indexing"],
    "5": ["Hydropneumothorax/right", "Technical Quality of Image Unsatisfactory "],
    "6": ["Consolidation/lung/lower lobe/left"],
}
IMAGES = {  # as the library calls them
    "1": ["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"],
    "2": ["CXR2_IM-0652-1001"],
    "3": ["CXR3_IM-1384-1001"],
    "4": ["CXR4_IM-2050-1001"],
    "5": ["CXR5_IM-2117-1003002"],
    "6": ["CXR6_IM-0069-12012-0001"],
}
PROJECTIONS = """uid,filename,projection
1,1_IM-0001-4001.dcm.png,Frontal
1,1_IM-0001-3001.dcm.png,Lateral
2,2_IM-0652-1001.dcm.png,Frontal
3,3_IM-1384-1001.dcm.png,Frontal
4,4_IM-2050-1001.dcm.png,Frontal
5,5_IM-2117-1003002.dcm.png,Frontal
6,6_IM-0069-12012-0001.dcm.png,Frontal
7,7_IM-2263-1001.dcm.png,Frontal
"""


def _write_xml(folder: Path, uid: str) -> None:
    terms = "\n".join(f"      <major>{term}</major>" for term in REPORTS[uid])
    images = "".join(f'<parentImage id="{name}"><caption>PA</caption></parentImage>' for name in IMAGES[uid])
    automatic = "<automatic>never read</automatic>"
    (folder / f"{uid}.xml").write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<eCitation>\n   <uId id="CXR{uid}"/>\n'
        f"   <MeSH>\n{terms}\n{automatic}</MeSH>\n{images}</eCitation>\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ecgen-radiology").mkdir()
    (tmp_path / "NLMCXR_png").mkdir()
    for uid, names in IMAGES.items():
        _write_xml(tmp_path / "ecgen-radiology", uid)
        for name in names:
            (tmp_path / f"NLMCXR_png/{name}.png").touch()
    (tmp_path / "NLMCXR_png/CXR9_IM-2407-1001.png").touch()
    (tmp_path / "indiana_projections.csv").write_text(PROJECTIONS)
    return tmp_path


def _scan(folder: Path, *views: str) -> Listing:
    return SOURCES.get("openi").list_images(folder, ImportOptions(views=views))


def _findings(listing: Listing, patient: str) -> dict[str, bool]:
    (text,) = [row.findings for row in listing.rows if row.patient_id == patient]
    return dict(json.loads(text or "{}"))


def test_frontal_images_with_their_findings(folder: Path) -> None:
    listing = _scan(folder)
    assert [(row.image, row.label, row.patient_id, row.view) for row in listing.rows] == [
        ("NLMCXR_png/CXR1_1_IM-0001-4001.png", "normal", "1", None),
        ("NLMCXR_png/CXR2_IM-0652-1001.png", "other", "2", None),
        ("NLMCXR_png/CXR3_IM-1384-1001.png", "other", "3", None),
        ("NLMCXR_png/CXR5_IM-2117-1003002.png", "other", "5", None),
        ("NLMCXR_png/CXR6_IM-0069-12012-0001.png", "consolidation", "6", None),
    ]
    assert listing.rows[1].raw_label == "Cardiomegaly/mild; Opacity/lung/base/left; Calcinosis/aorta"
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        "1_IM-0001-3001.dcm.png": "a lateral",
        "4_IM-2050-1001.dcm.png": "nothing is stated about its findings",
        "7_IM-2263-1001.dcm.png": "its image is not here",
        "NLMCXR_png/CXR9_IM-2407-1001.png": "no row in indiana_projections.csv",
    }
    assert listing.notes == ["1 findings have no label and are in raw_label alone: 'calcinosis'"]


def test_terms_that_say_neither_leave_a_finding_unknown(folder: Path) -> None:
    listing = _scan(folder)
    assert not any(_findings(listing, "1").values())
    assert {name for name, present in _findings(listing, "2").items() if present} == {"cardiomegaly", "lung-opacity"}
    # A borderline heart, a healed fracture and a mass of the breast: neither present nor surely absent.
    third = _findings(listing, "3")
    assert not any(third.values()) and not {"cardiomegaly", "fracture", "mass"} & {*third} and "edema" in third
    assert {name for name, present in _findings(listing, "5").items() if present} == {
        "pneumothorax",
        "pleural-effusion",
    }
    assert "lung-opacity" not in _findings(listing, "6")  # the narrower consolidation implies it


def test_laterals_come_in_on_request(folder: Path) -> None:
    listing = _scan(folder, "L")
    assert [(row.image, row.view) for row in listing.rows] == [("NLMCXR_png/CXR1_1_IM-0001-3001.png", "L")]


def test_kaggles_layout_gives_the_same(folder: Path) -> None:
    before = [(row.label, row.findings, row.patient_id) for row in _scan(folder).rows]
    shutil.rmtree(folder / "ecgen-radiology")
    lines = ["uid,MeSH,Problems,image,indication,comparison,findings,impression"]
    lines += [f'{uid},"{";".join(terms)}",x,x,x,x,x,x' for uid, terms in REPORTS.items()]
    (folder / "indiana_reports.csv").write_text("\n".join(lines))
    shutil.rmtree(folder / "NLMCXR_png")
    (folder / "images_normalized").mkdir()
    for line in PROJECTIONS.splitlines()[1:-1]:
        (folder / "images_normalized" / line.split(",")[1]).touch()
    assert [(row.label, row.findings, row.patient_id) for row in _scan(folder).rows] == before


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("indiana_projections.csv", ("png,Lateral", "png,Side"), r"row 3, column 'projection': has 'Side'"),
        ("indiana_projections.csv", ("6_IM-0069-12012-0001", "2_IM-0652-1001"), r"row 8: names .* again; .*row 4 did"),
        ("ecgen-radiology/2.xml", ("</eCitation>", ""), r"2\.xml: is no readable XML"),
        ("ecgen-radiology/2.xml", ('"utf-8"', '"none-8"'), r"2\.xml: is no readable XML: unknown encoding"),
        ("ecgen-radiology/2.xml", ('"utf-8"', '"gb18030"'), r"2\.xml: is no readable XML: multi-byte"),
        ("ecgen-radiology/2.xml", ("CXR2", "CXR1"), r"2\.xml: is report 1, as is .*1\.xml"),
    ],
)
def test_bad_files_are_named(folder: Path, name: str, change: tuple[str, str], message: str) -> None:
    (folder / name).write_text((folder / name).read_text().replace(*change))
    with pytest.raises(ManifestError, match=message):
        _scan(folder)


def test_without_the_table_of_projections_nobody_knows_what_is_frontal(folder: Path) -> None:
    (folder / "indiana_projections.csv").unlink()
    with pytest.raises(ManifestError, match=r"about half of the images are laterals.*Take it from Kaggle's copy"):
        _scan(folder)


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "None"])
def test_a_report_without_terms_states_nothing(folder: Path, cell: str) -> None:
    """Pandas writes an empty cell in several ways; a term called "nan" would make all findings absent."""
    shutil.rmtree(folder / "ecgen-radiology")
    (folder / "indiana_reports.csv").write_text(f"uid,MeSH\n1,normal\n2,{cell}\n")
    listing = _scan(folder)
    assert [row.patient_id for row in listing.rows] == ["1"]
