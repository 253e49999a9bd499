"""Phantoms are reproducible, fit their masks, are marked as synthetic, and show the label only in the lungs."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumoscope.core.errors import LabelError, UsageError
from pneumoscope.core.labels import LABELS
from pneumoscope.data.manifest import Manifest, read_manifest
from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.phantoms.source import SOURCES, stamp
from pneumoscope.imaging.read import read

ABNORMAL = [label for label in LABELS if label != "normal"]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_the_same_numbers_give_the_same_phantom() -> None:
    one, again, other = draw(1, 2, "covid-19", 64), draw(1, 2, "covid-19", 64), draw(1, 3, "covid-19", 64)
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(one.opacity_mask, again.opacity_mask)
    assert not np.array_equal(one.pixels, other.pixels)
    assert one.pixels.dtype == np.float32
    assert 0 <= one.pixels.min() < 0.1 < 0.8 < one.pixels.max() <= 1


def test_the_anatomy_does_not_depend_on_the_size() -> None:
    small, large = draw(1, 2, "normal", (64, 80)).lung_mask, draw(1, 2, "normal", (256, 320)).lung_mask
    shrunk = large.reshape(64, 4, 80, 4).mean(axis=(1, 3)) > 0.5
    assert (small ^ shrunk).sum() < 0.03 * small.sum()


def test_lungs_are_darker_than_their_surroundings() -> None:
    from scipy.ndimage import binary_dilation, label

    for index, source in enumerate(SOURCES):
        phantom = draw(4, index, "normal", 128, source)
        pieces, _ = label(phantom.lung_mask)
        areas = np.sort(np.bincount(pieces[phantom.lung_mask]))[::-1]
        assert areas[1] > 0.5 * areas[0]  # two lungs of similar size
        assert areas[2:].sum() < 5  # pixels cut off in the sharp angles
        surroundings = binary_dilation(phantom.lung_mask, iterations=8) & ~phantom.lung_mask
        assert phantom.pixels[phantom.lung_mask].mean() < phantom.pixels[surroundings].mean() - 0.1
        share = phantom.lung_mask.mean()
        assert 0.15 < share < 0.45


@pytest.mark.parametrize("label", ABNORMAL)
def test_an_opacity_brightens_only_its_mask(label: str) -> None:
    for index in range(8):
        sick, well = draw(5, index, label, 96), draw(5, index, "normal", 96)
        rise = sick.pixels - well.pixels
        assert np.array_equal(sick.lung_mask, well.lung_mask)
        assert sick.opacity_mask.any()
        assert not (sick.opacity_mask & ~sick.lung_mask).any()
        assert rise[sick.opacity_mask].mean() > 0.015
        assert rise[sick.opacity_mask].mean() > 3 * abs(rise[~sick.lung_mask].mean())
    assert not well.opacity_mask.any()


def test_opacities_are_in_the_places_typical_of_their_disease() -> None:
    def sides(label: str) -> np.ndarray:
        """Return for each image whether its left and its right half have an opacity."""
        masks = np.array([draw(6, index, label, 64).opacity_mask for index in range(30)])
        return np.stack([masks[:, :, :32].any(axis=(1, 2)), masks[:, :, 32:].any(axis=(1, 2))], axis=1)

    assert sides("covid-19").all(axis=1).mean() > 0.9
    assert sides("viral-pneumonia").all(axis=1).mean() > 0.9
    assert sides("bacterial-pneumonia").all(axis=1).mean() < 0.3
    covid = [draw(6, index, "covid-19", 64) for index in range(30)]
    heights = [
        (np.nonzero(p.opacity_mask)[0].mean() - np.nonzero(p.lung_mask)[0].min()) / np.ptp(np.nonzero(p.lung_mask)[0])
        for p in covid
    ]
    assert np.mean(heights) > 0.5  # lower zones


def test_severity_varies_and_some_are_subtle() -> None:
    severities = np.array([draw(7, index, "covid-19", 32).severity for index in range(60)])
    assert (severities < 0.2).any()
    assert (severities > 0.7).any()


def test_the_heart_is_on_the_right_of_the_image() -> None:
    for index in range(10):
        lungs = draw(8, index, "normal", 128).lung_mask
        rows = np.flatnonzero(lungs.any(axis=1))

        def middle(share: float, lungs: np.ndarray = lungs, rows: np.ndarray = rows) -> float:
            """Return the column halfway between the lungs, at a share of the way from apex to base."""
            columns = np.flatnonzero(lungs[rows[0] + round(share * np.ptp(rows))])
            gap = np.argmax(np.diff(columns))
            return float(columns[gap] + columns[gap + 1]) / 2

        assert middle(0.72) > middle(0.2) + 2


def test_images_of_one_patient_share_the_anatomy() -> None:
    images = {
        (person, shot): draw(9, 2 * person + shot, "normal", 96, patient=person, view="PA")
        for person in range(12)
        for shot in (0, 1)
    }
    own = [_correlation(images[p, 0].pixels, images[p, 1].pixels) for p in range(12)]
    others = [_correlation(images[p, 0].pixels, images[q, 1].pixels) for p in range(12) for q in range(12) if p != q]
    assert np.mean(own) > np.mean(others) + 0.02
    assert len({image.patient_id for image in images.values()}) == 12
    first, second = images[0, 0], images[0, 1]
    assert (first.sex, first.age) == (second.sex, second.age)
    assert not np.array_equal(first.lung_mask, second.lung_mask)  # another pose


def test_sources_look_different() -> None:
    images = [draw(10, 0, "normal", 128, source) for source in SOURCES]
    lungs = images[0].lung_mask
    assert all(np.array_equal(image.lung_mask, lungs) for image in images)  # the same patient in the same pose
    for one, other in combinations(images, 2):
        # The difference is far more than noise and than a change of brightness, which alone would correlate fully.
        assert np.abs(one.pixels - other.pixels).mean() > 0.02
        assert _correlation(one.pixels, other.pixels) < 0.995


def test_every_phantom_has_the_same_stamp() -> None:
    black, white = stamp(np.zeros((96, 96), np.float32)), stamp(np.ones((96, 96), np.float32))
    plate = black == white
    assert plate.sum() > 200
    assert black[plate].max() > 0.8
    for index, source in enumerate(SOURCES):
        for label in ("normal", "covid-19"):
            phantom = draw(11, index, label, 96, source)
            assert np.array_equal(phantom.pixels[plate], black[plate])
            assert not (phantom.lung_mask & plate).any()
    assert all(source.startswith("synthetic") for source in SOURCES)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"label": "covid"}, "Did you mean 'covid-19'"),
        ({"source": "synthetic-z"}, "synthetic-a"),
        ({"view": "L"}, "PA, AP, AP Supine"),
        ({"size": 16}, "32 or more"),
        ({"seed": -1}, "negative"),
    ],
)
def test_a_phantom_with_invalid_arguments_is_refused(wrong: dict[str, Any], named: str) -> None:
    arguments: dict[str, Any] = {"seed": 0, "index": 0, "label": "normal", **wrong}
    with pytest.raises((LabelError, UsageError), match=named):
        draw(**arguments)


def test_a_set_is_complete_and_grouped_by_patient(phantom_set: Manifest) -> None:
    table = phantom_set.table
    assert table.groupby("label").patient_id.nunique().to_dict() == {
        "covid-19": 12,
        "normal": 12,
        "viral-pneumonia": 12,
    }
    assert phantom_set.group_kind == "patient"
    assert (table.groupby("patient_id").size() > 1).any()
    assert (table.groupby("patient_id")[["label", "source", "sex", "age"]].nunique() == 1).all(axis=None)
    assert (table.groupby("group")["split"].nunique() == 1).all()
    for row, path in zip(table.to_dict("records"), phantom_set.paths(), strict=True):
        image = read(path)
        stated = (row["sha256"], row["bits"], (row["height"], row["width"]))
        assert (image.sha256, image.bits, image.pixels.shape) == stated
        mask = np.asarray(Image.open(path.parents[1] / row["lung_mask"]))
        assert set(np.unique(mask)) == {0, 255}


def test_a_set_says_that_it_is_synthetic(phantom_set: Manifest) -> None:
    table = phantom_set.table
    assert table.source.str.startswith("synthetic").all()
    assert table.patient_id.str.startswith("synthetic").all()
    assert (table.license == "CC0-1.0").all()
    assert (table.label_provenance == "drawn by pneumoscope").all()
    assert any("SYNTHETIC" in note for note in phantom_set.notes)
    with Image.open(phantom_set.paths()[0]) as image:
        assert "SYNTHETIC" in image.info["Description"]
        assert not any(label in str(image.info) for label in LABELS)


def test_the_label_shows_only_in_the_lungs(tmp_path: Path) -> None:
    from scipy.stats import chi2_contingency, kruskal

    labels = ("covid-19", "normal", "lung-opacity")
    table = write_set(tmp_path, 20, labels, seed=3, size=32).table.drop_duplicates("patient_id")
    for column in ("source", "view", "sex"):
        counts = table.groupby(["label", column]).size().unstack(fill_value=0)
        assert chi2_contingency(counts).pvalue > 0.01, column
    order = table.assign(order=table.image.rank(), number=table.patient_id.rank())
    for column in ("age", "order", "number", "width"):
        if order[column].nunique() > 1:
            assert kruskal(*(rows[column] for _, rows in order.groupby("label"))).pvalue > 0.01, column
    by_source = table.groupby(["label", "source"]).size()
    assert by_source.max() == by_source.min()


def test_a_shortcut_ties_the_label_to_the_source(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, 4, ("covid-19", "normal"), size=32, shortcut=1.0)
    assert manifest.table.groupby("label").source.unique().map(list).to_dict() == {
        "covid-19": ["synthetic-a"],
        "normal": ["synthetic-b"],
    }
    assert any("on purpose" in note for note in manifest.notes)


def test_the_manifest_moves_with_its_folder(tmp_path: Path) -> None:
    write_set(tmp_path / "here", 1, ("normal",), size=32)
    (tmp_path / "here").rename(tmp_path / "there")
    assert all(path.is_file() for path in read_manifest(tmp_path / "there" / "manifest.parquet").paths())


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        write_set(tmp_path, 1, ("normal",), size=32)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    write_set(tmp_path, 1, ("normal",), size=32, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_dicom_holds_the_same_picture(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    manifest = write_set(tmp_path, 4, ("covid-19", "normal"), size=64, formats=("dicom", "png"), bits=16)
    assert (manifest.table.bits == 12).all()
    kinds, uids = set(), set()
    for path, row in zip(manifest.paths(), manifest.table.to_dict("records"), strict=True):
        ds = pydicom.dcmread(path)
        # Compute the greyscale chain independently: full-range window; MONOCHROME1 shows the lowest value white.
        grey = ds.pixel_array / 4095
        grey = 1 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey
        png = np.asarray(Image.open(tmp_path / "images" / f"{path.stem}.png")) / 65535
        half_a_step = 0.5 / 4095 + 0.5 / 65535 + 1e-6
        assert np.abs(grey - png).max() <= half_a_step
        radiograph = read(path)
        assert np.abs(radiograph.pixels - png).max() <= half_a_step
        assert radiograph.metadata["view"] == row["view"].split()[0]
        assert (radiograph.metadata["sex"], radiograph.metadata["age"]) == (row["sex"], row["age"])
        kinds.add(ds.PhotometricInterpretation)
        uids |= {ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID}
        assert all(uid.is_valid for uid in (ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID))
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.SOPClassUID.name == "Digital X-Ray Image Storage - For Presentation"
        assert (ds.BitsStored, ds.PresentationIntentType, list(ds.PatientOrientation)) == (
            12,
            "FOR PRESENTATION",
            ["L", "F"],
        )
        assert str(ds.PatientName) == "SYNTHETIC^PHANTOM"
        assert "SYNTHETIC" in ds.SeriesDescription and "SYNTHETIC" in ds.ImageComments
        assert list(ds.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        assert row["label"] not in ds.to_json()
    assert kinds == {"MONOCHROME1", "MONOCHROME2"}
    assert len(uids) == 3 * len(manifest)


def test_the_command_writes_a_set_and_reports_it(tmp_path: Path) -> None:
    import typer
    from typer.testing import CliRunner

    from pneumoscope.cli.phantoms import phantoms

    app = typer.Typer()
    app.command()(phantoms)
    options = [str(tmp_path / "set"), "--per-class", "2", "--labels", "normal, covid-19", "--size", "32"]
    result = CliRunner().invoke(app, [*options, "--json"])
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    table = read_manifest(summary["manifest"]).table
    assert summary["images"] == len(table)
    assert summary["labels"]["covid-19"]["images"] == (table.label == "covid-19").sum()
    assert isinstance(CliRunner().invoke(app, options).exception, UsageError)
    assert CliRunner().invoke(app, [*options, "--force"]).exit_code == 0
