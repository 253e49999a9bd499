"""Options select findings, views and modality by the terms of the table; other rows are listed with a reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pneumoscope.core.errors import UsageError
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES

METADATA = """patientid,offset,sex,age,finding,view,modality,folder,filename,license
1,3,M,65,"COVID-19, ARDS",PA,X-ray,images,a.png,
1,4,M,65,COVID-19,PA,X-ray,images,b.png,
2,0,F,40,Pneumonia/Viral/COVID-19,PA,X-ray,images,c.png,
3,0,F,40,COVID-19,AP Supine,X-ray,images,d.png,
4,0,F,40,COVID-19,L,X-ray,images,e.png,
5,0,F,40,COVID-19,Axial,CT,images,f.png,
6,0,F,40,todo,PA,X-ray,images,g.png,
7,0,F,40,COVID-19,PA,X-ray,images,absent.png,
"""


@pytest.fixture
def cohen(tmp_path: Path) -> Path:
    (tmp_path / "metadata.csv").write_text(METADATA)
    (tmp_path / "images").mkdir()
    for name in "abcdefgx":
        (tmp_path / f"images/{name}.png").touch()
    return tmp_path


def _scan(folder: Path, **options: tuple[str, ...]) -> Listing:
    return SOURCES.get("ieee8023").list_images(folder, ImportOptions(**options))  # type: ignore[arg-type]


def _names(listing: Listing) -> str:
    return "".join(Path(row.image).stem for row in listing.rows)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "abcd"),
        ({"findings": ("COVID-19",)}, "bd"),
        ({"findings": ("COVID-19", "Pneumonia/Viral/COVID-19"), "views": ("PA",)}, "bc"),
        ({"views": ("AP Supine",)}, "d"),
        ({"views": ("L", "PA"), "findings": ("COVID-19",)}, "be"),
        ({"modalities": ("X-ray",), "labels": ("covid-19",)}, "abcd"),
    ],
)
def test_options_select_findings_views_and_modality(
    cohen: Path, options: dict[str, tuple[str, ...]], expected: str
) -> None:
    assert _names(_scan(cohen, **options)) == expected


def test_every_omitted_row_and_image_has_a_reason(cohen: Path) -> None:
    listing = _scan(cohen, findings=("COVID-19",), views=("PA",))
    assert {Path(dropped.file).stem: dropped.reason for dropped in listing.dropped} == {
        "a": "finding 'COVID-19, ARDS', not among those asked for",
        "c": "finding 'Pneumonia/Viral/COVID-19', not among those asked for",
        "d": "view AP Supine, not among those asked for",
        "e": "view 'L', not stated to be frontal",
        "f": "modality 'CT', not a radiograph",
        "g": "finding 'todo': no label",
        "absent": "its image is not here",
        "x": "no row in metadata.csv",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"findings": ("COVID",)}, r"`findings='COVID'`: metadata.csv has no such finding\. Did you mean 'COVID-19'"),
        ({"findings": ("todo",)}, r"`findings='todo'`.*never filled in"),
        ({"modalities": ("CT",)}, r"`modalities='CT'`: is not a projection radiograph"),
        ({"views": ("pa",)}, r"`views='pa'`: is unknown.*Views: PA, AP, AP Supine, L"),
    ],
)
def test_an_impossible_selection_is_refused(cohen: Path, options: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _scan(cohen, **options)


@pytest.mark.shared
def test_the_real_set_agrees_with_its_table(shared: Path) -> None:
    listing = _scan(shared / "data/ieee8023", findings=("COVID-19",), views=("PA",))
    assert len(listing.rows) == 159
    assert len({row.patient_id for row in listing.rows}) == 114
    reasons = Counter(dropped.reason for dropped in listing.dropped)
    assert reasons["no row in metadata.csv"] == 3
    assert reasons["modality 'CT', not a radiograph"] == 84
