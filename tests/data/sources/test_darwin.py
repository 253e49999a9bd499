"""Darwin files: tags become columns by explicit tables, polygons become masks, and each omission has a reason."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumoscope.core.errors import LabelError, ManifestError, PneumoscopeError, UsageError
from pneumoscope.data.importing import import_source
from pneumoscope.data.manifest import read_manifest, write_manifest
from pneumoscope.data.masks import read_mask
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.sources.darwin import DISEASES, label_from_tags, read_annotation

LUNG = [(2, 3), (6, 3), (6, 8), (2, 8)]  # 4 x 5 pixels
HEART = [(3, 4), (5, 4), (5, 6), (3, 6)]


def _path(corners: list[tuple[int, int]]) -> list[dict[str, float]]:
    return [{"x": float(x), "y": y} for x, y in corners]


def _polygon(name: str, *rings: list[tuple[int, int]]) -> dict[str, Any]:
    if len(rings) == 1:
        return {"name": name, "polygon": {"path": _path(rings[0])}}
    return {"name": name, "complex_polygon": {"path": [_path(ring) for ring in rings]}}


@pytest.fixture
def v7(tmp_path: Path) -> Path:
    """A folder with ``images`` and an empty ``annotations``."""
    for number, name in enumerate("abcde"):
        (tmp_path / "images").mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (24, 20), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{name}.png")
    (tmp_path / "annotations").mkdir()
    return tmp_path


def _annotate(v7: Path, image: str, *tags: str, shapes: tuple[Any, ...] = (), size: tuple[int, int] = (20, 24)) -> None:
    content = {
        "image": {"width": size[0], "height": size[1], "filename": "0.png", "original_filename": image},
        "annotations": [*shapes, *({"name": tag, "tag": {}} for tag in tags)],
    }
    (v7 / f"annotations/{Path(image).stem}.json").write_text(json.dumps(content))


def _scan(v7: Path, **options: Any) -> Listing:
    import_options = ImportOptions(images=v7 / "images", **options)
    return SOURCES.get("darwin").list_images(v7 / "annotations", import_options)


def test_tags_become_columns(v7: Path) -> None:
    lung = (_polygon("Lung", LUNG),)
    _annotate(v7, "a.png", "Viral Pneumonia", "COVID-19", "X-ray", "View/AP_Supine", "Age:50", "Sex/M", shapes=lung)
    _annotate(v7, "b.png", "19", "COVID-19", "View/PA", "PatientID:117", "location:A/B: C", "Survival/Y", shapes=lung)
    _annotate(v7, "c.png", "Bacterial Pneumonia", shapes=lung)
    rows = _scan(v7).rows
    assert [(r.image, r.label, r.raw_label, r.view, r.age, r.sex, r.patient_id) for r in rows] == [
        ("a.png", "covid-19", "COVID-19, Viral Pneumonia", "AP Supine", 50.0, "M", None),
        ("b.png", "covid-19", "COVID-19", "PA", 19.0, None, "117"),
        ("c.png", "bacterial-pneumonia", "Bacterial Pneumonia", None, None, None, None),
    ]


def test_a_child_of_kermanys_set_gets_the_patient_from_its_file_name(v7: Path) -> None:
    (v7 / "images/a.png").rename(v7 / "images/person7_virus_12.jpeg")
    _annotate(v7, "person7_virus_12.jpeg", "Viral Pneumonia", shapes=(_polygon("Lung", LUNG),))
    assert _scan(v7).rows[0].patient_id == "person7"


def test_slices_laterals_and_files_without_a_partner_are_listed_with_their_reason(v7: Path) -> None:
    lung = (_polygon("Lung", LUNG),)
    _annotate(v7, "a.png", "COVID-19", "View/PA", shapes=lung)
    _annotate(v7, "b.png", "COVID-19", "View/Lateral")
    _annotate(v7, "c.png", "COVID-19", "CT", "View/Axial")
    _annotate(v7, "d.png", "COVID-19")
    _annotate(v7, "absent.png", "COVID-19", "View/PA", shapes=lung)
    (v7 / "annotations/readme.txt").touch()
    listing = _scan(v7)
    assert [row.image for row in listing.rows] == ["a.png"]
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        "b.json": "view 'Lateral', a lateral",
        "c.json": "CT slice (view Axial)",
        "d.json": "neither a view nor a lung outline: perhaps a lateral, which has none",
        "absent.json": f"its image is not under {v7 / 'images'}",
        "e.png": "no annotation names it",
        "readme.txt": "not an annotation by its name (*.txt)",
    }


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["Viral Pneumonia", "COVID-19"], ("covid-19", "COVID-19, Viral Pneumonia")),
        (["ARDS", "Streptococcus"], ("bacterial-pneumonia", "Streptococcus, ARDS")),
        (["Pneumonia", "SARS"], ("viral-pneumonia", "SARS, Pneumonia")),
        (["No Pneumonia (healthy)"], ("normal", "No Pneumonia (healthy)")),
        (["ARDS"], ("other", "ARDS")),
        (["Viral Pneumonia", "Bacterial Pneumonia"], (None, "Viral Pneumonia, Bacterial Pneumonia")),
        (["X-ray", "Viral"], (None, "")),
    ],
)
def test_covid_has_precedence_then_the_more_specific_tag(tags: list[str], expected: tuple[str | None, str]) -> None:
    assert label_from_tags(tags, DISEASES) == expected


def test_an_unknown_tag_is_refused_or_by_option_mapped_or_dropped(v7: Path) -> None:
    _annotate(v7, "a.png", "COVID-19", "View/PA")
    _annotate(v7, "b.png", "Viral Pneumonja", "View/PA")
    with pytest.raises(LabelError, match=r"(?s)1 tags.*'Viral Pneumonja' \(like 'viral pneumonia'\?\)"):
        _scan(v7)
    assert [row.image for row in _scan(v7, drop_unmapped=True).rows] == ["a.png"]
    assert _scan(v7, mapping={"Viral Pneumonja": "viral-pneumonia"}).rows[1].label == "viral-pneumonia"


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (("COVID-19", "View/PA", "View/AP"), r"a\.json: has 2 tags View: 'AP', 'PA'"),
        (("COVID-19", "View/PA", "Age:20", "19"), r"a\.json: has 2 tags Age: '19', '20'"),
        (("COVID-19", "View/Oblique"), r"a\.json, view: has 'Oblique'"),
    ],
)
def test_contradicting_tags_are_refused(v7: Path, tags: tuple[str, ...], message: str) -> None:
    _annotate(v7, "a.png", *tags, shapes=(_polygon("Lung", LUNG),))
    with pytest.raises(ManifestError, match=message):
        _scan(v7)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"image": {"width": 1}}', '{"version": "2.0", "item": {}, "annotations": []}'],
)
def test_a_file_that_is_not_darwin_1_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ManifestError, match=r"x\.json: is not a Darwin 1\.0 annotation file"):
        read_annotation(tmp_path / "x.json", "x.json")


def test_the_images_folder_is_required_and_an_image_is_annotated_once(v7: Path) -> None:
    with pytest.raises(UsageError, match="`images='DIR'`"):
        SOURCES.get("darwin").list_images(v7 / "annotations", ImportOptions())
    _annotate(v7, "a.png", "COVID-19", "View/PA")
    (v7 / "annotations/z.json").write_text((v7 / "annotations/a.json").read_text())
    with pytest.raises(ManifestError, match=r"z\.json: annotates 'a\.png' again; a\.json did"):
        _scan(v7)


def test_masks_have_the_areas_of_the_polygons_and_move_with_their_folder(v7: Path) -> None:
    ignore = _polygon("Ignore", [(10, 10), (14, 10), (14, 14), (10, 14)])
    _annotate(v7, "a.png", "COVID-19", "View/PA", shapes=(_polygon("Lung", LUNG, HEART), _polygon("Lung", LUNG)))
    _annotate(v7, "b.png", "COVID-19", "View/PA", shapes=(_polygon("Lung", LUNG, HEART), ignore))
    _annotate(v7, "c.png", "COVID-19", "View/PA", shapes=(_polygon("Lung", LUNG),), size=(10, 12))
    _annotate(v7, "d.png", "COVID-19", "View/PA", shapes=(_polygon("Lung", LUNG),), size=(10, 24))
    _annotate(v7, "e.png", "COVID-19", "View/PA", shapes=({"name": "Heart", "polygon": {"path": []}},))
    options = ImportOptions(images=v7 / "images", masks=v7 / "drawn", min_side=20)
    manifest, report = import_source(SOURCES.get("darwin"), v7 / "annotations", options)
    lungs = [None if path is None else read_mask(path) for path in manifest.mask_paths("lung_mask")]
    # Two polygons are joined, so the second fills the hole of the first. The size of the mask is that of the image.
    assert [None if mask is None else int(mask.sum()) for mask in lungs] == [20, 16, 80, 40, None]
    assert {mask.shape for mask in lungs if mask is not None} == {(24, 20)}
    assert [path is not None for path in manifest.mask_paths("ignore_mask")] == [False, True, False, False, False]
    notes = [note for note in report.notes if "outlined at" in note]
    assert notes[0] == "c.png: outlined at 10x12, the image has 20x24; stretched by 2.000 across and 2.000 down"
    assert notes[1].endswith(
        "the proportions differ by 100%: outlined on another cut of the picture, so look if it fits"
    )
    assert "annotations 'Heart' are not used: 1" in report.notes

    write_manifest(manifest, v7 / "m.parquet")
    (v7 / "drawn").rename(v7 / "elsewhere")
    with pytest.raises(ManifestError, match=r"source 'darwin-masks'.*`roots={'darwin-masks': 'DIR'}`"):
        read_manifest(v7 / "m.parquet").mask_paths("lung_mask")
    moved = read_manifest(v7 / "m.parquet", {"darwin-masks": v7 / "elsewhere"})
    assert moved.mask_paths("lung_mask")[0] == v7 / "elsewhere/lung/a.png.png"


def test_small_images_are_left_out_and_listed(v7: Path) -> None:
    _annotate(v7, "a.png", "COVID-19", "View/PA", shapes=(_polygon("Lung", LUNG),))
    options = ImportOptions(images=v7 / "images", masks=v7 / "drawn", min_side=21)
    with pytest.raises(PneumoscopeError, match="has no readable image of 21 pixels or more"):
        import_source(SOURCES.get("darwin"), v7 / "annotations", options)
    assert not (v7 / "drawn").exists()


@pytest.mark.shared
def test_the_real_annotations(shared: Path) -> None:
    images = shared / "data/ieee8023/images"
    listing = SOURCES.get("darwin").list_images(shared / "data/v7-darwin/annotations", ImportOptions(images=images))
    assert len(listing.rows) == 154
    reasons = Counter(dropped.reason for dropped in listing.dropped)
    assert reasons["CT slice (view Axial)"] == 18
    assert reasons["CT slice (view Coronal)"] == 2
    assert {row.label for row in listing.rows} == {"covid-19"}
    assert Counter(row.raw_label for row in listing.rows) == {
        "COVID-19, Viral Pneumonia": 146,
        "COVID-19, Viral Pneumonia, ARDS": 8,
    }
    assert Counter(row.view for row in listing.rows) == {"PA": 83, "AP": 44, "AP Supine": 27}
    assert sum(row.age == 19 for row in listing.rows) == 1
    assert all(len(outlines.lung) == 2 for outlines in listing.outlines.values())
