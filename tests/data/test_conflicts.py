"""The option --drop-conflicts, advised by the check "label-conflicts", works on import, split and merge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.data import app
from pneumoscope.core.errors import ManifestError
from pneumoscope.data.checks.runner import check
from pneumoscope.data.conflicts import drop_conflicts
from pneumoscope.data.importing import import_source
from pneumoscope.data.manifest import Manifest, read_manifest, write_manifest
from pneumoscope.data.merge import merge
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.splits import assign_parts

Draw = Callable[..., Path]
CONFLICTING = {"covid-19/copy.png", "normal/0.png"}


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Path:
    """Two labels of four images each; one normal picture also has a copy among the COVID-19 ones."""
    for number in range(4):
        draw(tmp_path / f"set/normal/{number}.png", number)
        draw(tmp_path / f"set/covid-19/{number}.png", 10 + number)
    shutil.copy(tmp_path / "set/normal/0.png", tmp_path / "set/covid-19/copy.png")
    return tmp_path / "set"


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return import_source(SOURCES.get("folder"), folder, ImportOptions(source_name="mine"))[0]


def test_an_import_lists_conflicts_as_dropped(folder: Path) -> None:
    options = ImportOptions(source_name="mine")
    manifest, report = import_source(SOURCES.get("folder"), folder, options, drop_conflicts=True)
    assert len(manifest) == 7
    assert {one.file for one in report.dropped} == CONFLICTING
    assert "dropped: 2 the same picture has another label" in manifest.notes[0]
    assert len(report.conflicts) == 1


def test_dropping_conflicts_keeps_groups_and_parts(manifest: Manifest) -> None:
    divided = assign_parts(manifest, {"test": 0.5}, seed=0)
    cleaned, conflicts = drop_conflicts(divided)
    assert {divided.table.image[row] for row in conflicts.rows} == CONFLICTING
    expected = divided.table[~divided.table.image.isin(CONFLICTING)].reset_index(drop=True)
    assert cleaned.table[["image", "group", "split"]].equals(expected[["image", "group", "split"]])
    assert cleaned.notes[-1] == "left out 2 images whose picture has another label elsewhere"
    assert drop_conflicts(cleaned)[0] is cleaned


def test_a_merge_of_one_manifest_drops_conflicts(manifest: Manifest) -> None:
    merged, report = merge([manifest], drop_conflicts=True)
    assert len(merged) == 7
    assert set(report.dropped) == {f"mine/{image}" for image in CONFLICTING}


def test_split_drops_conflicts(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write_manifest(manifest, path)
    result = CliRunner().invoke(app, ["split", str(path), "--drop-conflicts", "--json"])
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)["dropped_conflicts"]) == {f"mine/{image}" for image in CONFLICTING}
    assert len(read_manifest(path)) == 7
    outcomes = check(read_manifest(path), cache=tmp_path / "cache")
    assert "label-conflicts" in {outcome.name for outcome in outcomes.clear}  # the check's own advice satisfies it


def test_a_replaced_image_is_refused(manifest: Manifest, draw: Draw) -> None:
    draw(manifest.paths()[1], 99)
    with pytest.raises(ManifestError, match="another SHA-256 than at import"):
        drop_conflicts(manifest)
