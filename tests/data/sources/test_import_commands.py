"""The documented commands for the sources that need more than a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.data import app
from pneumoscope.core.errors import UsageError
from pneumoscope.data.manifest import read_manifest


def _json(*words: object) -> Any:
    result = CliRunner().invoke(app, [*(str(word) for word in words), "--json"], catch_exceptions=True)
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


@pytest.mark.shared
def test_a_merge_adds_the_masks_of_v7_to_ieee8023(shared: Path, tmp_path: Path) -> None:
    # The test uses seven real files: to read all of them takes too long for a test.
    annotations, cohen = tmp_path / "annotations", tmp_path / "ieee8023"
    annotations.mkdir()
    (cohen / "images").mkdir(parents=True)
    shutil.copy(shared / "data/ieee8023/metadata.csv", cohen)
    names = [f"{number}.json" for number in (1676457, 1676599, 1676725)]
    names += [path.name for path in sorted((shared / "data/v7-darwin/annotations").iterdir())[:4]]
    for name in names:
        path = Path(shutil.copy(shared / "data/v7-darwin/annotations" / name, annotations))
        image = shared / "data/ieee8023/images" / json.loads(path.read_text())["image"]["original_filename"]
        if image.is_file():  # CT slices have no image
            shutil.copy(image, cohen / "images")
    images = sum(1 for _ in (cohen / "images").iterdir())

    plain, v7, both = (tmp_path / f"{name}.parquet" for name in ("ieee8023", "v7", "both"))
    _json("import", "ieee8023", cohen, "-o", plain)
    report = _json("import", "darwin", annotations, "--images", cohen / "images", "-o", v7)
    assert report["kept"] == {"covid-19": images}
    drawn = sorted((tmp_path / "v7-masks/lung").iterdir())
    assert len(drawn) == images
    assert len(list((tmp_path / "v7-masks/ignore").iterdir())) >= 2  # the two complex polygons
    assert [note.split(":")[0] for note in report["notes"] if "stretched" in note] == ["ciaa199.pdf-001-b.png"]

    report = _json("merge", plain, v7, "-o", both)
    merged = read_manifest(both)
    assert set(merged.table.source) == {"ieee8023"}
    assert len(merged) == len(report["same"]) == report["filled"]["lung_mask"] == images
    assert sorted(path for path in merged.mask_paths("lung_mask") if path is not None) == drawn


def test_a_key_file_must_hold_a_secret(tmp_path: Path) -> None:
    words = ("import", "dicom", tmp_path, "--labels", "labels.csv", "-o", tmp_path / "m.parquet", "--key")
    with pytest.raises(UsageError, match=r"there is no such file.*openssl rand"):
        _json(*words, tmp_path / "none")
    (tmp_path / "key").write_text("short\n")
    with pytest.raises(UsageError, match="has 5 bytes; a secret needs 16 or more"):
        _json(*words, tmp_path / "key")


def test_options_of_other_sources_are_refused(tmp_path: Path) -> None:
    options = {"table": "--labels", "masks": "--masks", "findings": "--finding", "body_parts": "--body-part"}
    for name, option in options.items():
        value = "COVID-19"
        with pytest.raises(UsageError, match=f"`{name}`: means nothing to the source 'folder'"):
            _json("import", "folder", tmp_path, option, value, "-o", tmp_path / "m.parquet")
