"""All data checks on files: the findings, the cache and the command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pneumoscope.cli.data import app
from pneumoscope.core.errors import CheckRefusedError, UsageError
from pneumoscope.core.files import sha256_of
from pneumoscope.data.checks import context as gathering
from pneumoscope.data.checks import file_facts
from pneumoscope.data.checks.catalogue import CHECKS
from pneumoscope.data.checks.findings import CheckReport, parse_reasons
from pneumoscope.data.checks.runner import check
from pneumoscope.data.grouping import plausible_pairs
from pneumoscope.data.manifest import Manifest, write_manifest
from pneumoscope.data.similarity import Pair

Draw = Callable[..., Path]
IMAGES = 24  # images of the set without findings


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def files(tmp_path: Path, draw: Draw) -> list[Path]:
    return [draw(tmp_path / f"images/{number:02}.png", number) for number in range(IMAGES)]


@pytest.fixture
def manifest(files: list[Path], make_row: Callable[..., dict[str, Any]]) -> Callable[..., Manifest]:
    """A function ``manifest(changes)``: the set without findings, with changed columns by row number."""

    def build(changes: dict[int, dict[str, Any]] | None = None) -> Manifest:
        rows = []
        for number, file in enumerate(files):
            defaults = {
                "image": file.name,
                "source": "here" if number % 4 < 2 else "there",
                "label": "normal" if number % 2 else "pneumonia",
                "split": ("train", "validation", "calibration", "test")[number // 6],
                "sha256": sha256_of(file),
                "width": 128,
                "height": 128,
                "bits": 8,
            }
            rows.append(make_row(number, **(defaults | (changes or {}).get(number, {}))))
        return Manifest.from_rows(rows, dict.fromkeys(("here", "there"), files[0].parent))

    return build


def _names(report: CheckReport) -> list[str]:
    return [finding.name for finding in report.findings]


def test_a_set_without_findings_passes(manifest: Callable[..., Manifest]) -> None:
    report = check(manifest())
    assert _names(report) == []
    assert report.passes(strict=True)
    assert {outcome.name for outcome in report.clear} == CHECKS.keys()


def test_a_recompressed_copy_in_another_part_blocks(manifest: Callable[..., Manifest], files: list[Path]) -> None:
    with Image.open(files[0]) as image:
        image.resize((100, 100)).save(files[23], "JPEG", quality=60)
    report = check(manifest())
    assert _names(report) == ["duplicates-across-parts", "label-conflicts", "shared-images"]
    assert report.findings[0].rows == (0, 23)
    with pytest.raises(CheckRefusedError, match="duplicates-across-parts") as error_info:
        report.require()
    assert error_info.value.exit_code == 3
    allowed = {"duplicates-across-parts": "a trial of the checks", "label-conflicts": "the same"}
    report.allowing(allowed).require()
    with pytest.raises(CheckRefusedError, match="shared-images"):
        report.allowing(allowed).require(strict=True)


def test_unreadable_and_altered_files_block(manifest: Callable[..., Manifest], files: list[Path]) -> None:
    original = manifest()
    files[3].write_bytes(b"not an image")
    files[5].unlink()
    Image.fromarray(np.asarray(Image.open(files[9])) // 2).save(files[9])
    report = check(original)
    rows = {finding.name: finding.rows for finding in report.findings}
    assert rows == {"unreadable": (3, 5), "altered": (9,)}
    assert [finding.severity for finding in report.findings] == ["block", "block"]


def test_measurements_are_cached_until_a_file_changes(
    manifest: Callable[..., Manifest], files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    real = file_facts.measure_all

    def count_and_measure(paths: list[Path], tick: Any, depths: Any) -> Any:
        measured.append(len(paths))
        return real(paths, tick, depths)

    monkeypatch.setattr(gathering, "measure_all", count_and_measure)
    original = manifest()
    first = check(original)
    assert check(original) == first
    assert measured == [IMAGES]
    part = original.where(original.table.label == "normal")  # a recipe that leaves a label out
    assert check(part).images == IMAGES // 2
    other = manifest({0: {"split": "test"}})
    assert check(other).split_hash != first.split_hash
    assert measured == [IMAGES]
    os.utime(files[0], (1, 1))
    check(original)
    assert measured == [IMAGES, IMAGES]


def test_pairs_of_a_subset_are_the_same_from_the_cache_and_without_it(
    manifest: Callable[..., Manifest], files: list[Path], tmp_path: Path
) -> None:
    for copy in (8, 20):
        files[copy].write_bytes(files[2].read_bytes())
    original = manifest()
    gathering.build_context(original, cache=tmp_path / "a")
    rows = original.where([number not in (0, 2, 11) for number in range(IMAGES)])
    cached, fresh = (
        gathering.build_context(rows, cache=tmp_path / "a"),
        gathering.build_context(rows, cache=tmp_path / "b"),
    )
    assert [(p.first, p.second) for p in cached.pairs] == [(p.first, p.second) for p in fresh.pairs] == [(6, 17)]
    assert cached.facts.equals(fresh.facts)


def test_a_recipe_that_joins_two_labels_has_no_conflict(manifest: Callable[..., Manifest], files: list[Path]) -> None:
    files[1].write_bytes(files[0].read_bytes())
    original = manifest()
    assert "label-conflicts" in _names(check(original))
    assert "label-conflicts" not in _names(check(original, {"normal": "any", "pneumonia": "any"}))


@pytest.mark.parametrize(
    ("names", "because"),
    [(["altered"], []), ([], ["why"]), (["altered", "constant", "unreadable"], ["a reason", "another"]),
     (["altered"], ["  "]), (["alterd"], ["a reason"]), (["altered", "altered"], ["a reason"])],
)  # fmt: skip
def test_an_allowed_finding_needs_a_reason(names: list[str], because: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_reasons(names, because, list(CHECKS))


def test_one_reason_may_apply_to_all_findings() -> None:
    assert parse_reasons(["altered", "constant"], ["a trial"], list(CHECKS)) == {
        "altered": "a trial",
        "constant": "a trial",
    }


def _command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_exits_with_3_and_lists_every_row(
    manifest: Callable[..., Manifest], files: list[Path], tmp_path: Path
) -> None:
    files[23].write_bytes(files[0].read_bytes())
    write_manifest(manifest(), tmp_path / "m.parquet")
    code, text = _command(tmp_path / "m.parquet", "--json", "--html", tmp_path / "g.html", "--pictures", tmp_path / "p")
    assert code == 3
    report = CheckReport.model_validate_json(text)
    first = report.findings[0]
    assert (first.name, first.rows, first.picture) == (
        "duplicates-across-parts",
        (0, 23),
        "duplicates-across-parts.png",
    )
    assert json.loads(text)["findings"][0]["cases"][0]["images"] == ["here/00.png", "there/23.png"]
    with Image.open(tmp_path / "p" / "duplicates-across-parts.png") as sheet:
        pixels = np.asarray(sheet)
    with Image.open(files[0]) as image:
        tile = np.asarray(image.resize((150, 150), Image.Resampling.BOX), dtype=float)
    picture = pixels[30:180, 8:158].astype(float)
    assert np.corrcoef(tile.ravel(), picture.ravel())[0, 1] > 0.99
    page = (tmp_path / "g.html").read_text()
    assert "Blocks training" in page
    assert "data:image/png;base64," in page
    assert "<script" not in page
    because = "a trial"
    code, text = _command(
        tmp_path / "m.parquet",
        *("--allow", "duplicates-across-parts", "--allow", "label-conflicts", "--because", because),
    )
    assert code == 0
    assert text.count(f"Allowed, because: {because}") == 2


def test_the_page_shows_no_images_unless_requested(
    manifest: Callable[..., Manifest], files: list[Path], tmp_path: Path
) -> None:
    files[23].write_bytes(files[0].read_bytes())
    write_manifest(manifest(), tmp_path / "m.parquet")
    _command(tmp_path / "m.parquet", "--html", tmp_path / "g.html")
    assert "data:image" not in (tmp_path / "g.html").read_text().replace("img-src data:", "")


def test_patients_with_two_numbers_of_one_source_are_joined_only_by_the_same_picture(
    make_row: Callable[..., dict[str, Any]],
) -> None:
    numbers = ["1", "2", "1", None, "2"]
    sources = ["a", "a", "a", "a", "b"]
    rows = [make_row(i, patient_id=n, source=s) for i, (n, s) in enumerate(zip(numbers, sources, strict=True))]
    table = Manifest.from_rows(rows, {}).table
    pairs = [Pair(0, 1, 0.7), Pair(0, 1, 0.9), Pair(0, 2, 0.7), Pair(1, 3, 0.7), Pair(0, 4, 0.7)]
    assert plausible_pairs(table, pairs) == pairs[1:]


def test_phantoms_pass_and_phantoms_with_a_shortcut_do_not(phantom_set: Manifest, tmp_path: Path) -> None:
    report = check(phantom_set)
    assert report.passes()
    assert not report.confounded
    table = phantom_set.table
    shortcut = [source == "synthetic-a" for source in table.source] == (table.label == "normal")
    confounded_report = check(phantom_set.where(shortcut | (table.label == "viral-pneumonia")))
    assert confounded_report.confounded
    assert not confounded_report.passes()
