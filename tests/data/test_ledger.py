"""The ledger counts an opening also after a new split, under a new name and for a part of the images."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.data.ledger import (
    KnownOpening,
    find_openings,
    ledger_path,
    openings_without,
    record_opening,
)
from pneumoscope.data.opened_images import OpenedImages


@pytest.fixture(autouse=True)
def _temporary_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))


def test_any_overlap_counts_as_an_opening(tmp_path: Path) -> None:
    manifest = tmp_path / "m.parquet"
    assert len(find_openings(manifest, ["a"])) == 0
    assert len(record_opening(manifest, ["a", "b"], "model", "evaluate")) == 0
    assert len(record_opening(manifest, ["b", "c"], "model", "evaluate")) == 1
    assert [len(find_openings(manifest, [image])) for image in "abcd"] == [1, 2, 1, 0]


def test_openings_count_for_another_manifest_in_the_folder(tmp_path: Path) -> None:
    record_opening(tmp_path / "m.parquet", ["a"], "model", "evaluate")
    assert len(record_opening(tmp_path / "renamed.parquet", ["a"], "model", "evaluate")) == 1
    assert len(find_openings(tmp_path / "third.parquet", ["a"])) == 2


def test_openings_count_for_a_manifest_in_another_folder(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    assert len(record_opening(tmp_path / "here" / "m.parquet", ["there:a"], "model", "evaluate")) == 0
    assert len(find_openings(tmp_path / "there" / "m.parquet", ["there:a"])) == 1
    assert len(find_openings(tmp_path / "here" / "m.parquet", ["there:a"])) == 1  # two ledgers record one opening


def test_lines_have_time_model_and_images_and_are_appended(tmp_path: Path) -> None:
    manifest = tmp_path / "m.parquet"
    record_opening(manifest, ["b", "a", "a"], "1234", "pneumoscope evaluate x")
    first = ledger_path(manifest).read_bytes()
    record_opening(manifest, ["c"], "1234", "again")
    assert ledger_path(manifest).name == "m.ledger.jsonl"
    assert ledger_path(manifest).read_bytes().startswith(first)
    entry = json.loads(first)
    assert (entry["by"], entry["command"], entry["images"]) == ("1234", "pneumoscope evaluate x", ["a", "b"])
    assert entry["time"].endswith("+00:00")


def test_an_opening_says_when_and_by_which_model(tmp_path: Path) -> None:
    record_opening(tmp_path / "m.parquet", ["a"], "ab" * 32, "evaluate runs/x")
    record_opening(tmp_path / "m.parquet", ["a"], "finalists x 1234", "compare")
    known = [KnownOpening("", OpenedImages.of(["a"]))]
    oldest, first, second = find_openings(tmp_path / "m.parquet", ["a"], known)
    assert str(oldest) == "at an unknown time by an unknown model"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC by model abababababab", str(first))
    assert str(second).endswith(" UTC by finalists x 1234") and first.command == "evaluate runs/x"


def test_simultaneous_openings_are_all_recorded(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: record_opening(tmp_path / "m.parquet", [f"{n}:{i}" for i in range(500)], "m", ""), range(16)
            )
        )
    assert sum(len(find_openings(tmp_path / "m.parquet", [f"{n}:0"])) for n in range(16)) == 16


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    record_opening(tmp_path / "m.parquet", ["a"], "m", "")
    with ledger_path(tmp_path / "m.parquet").open("a") as file:
        file.write('{"images": \n')
    with pytest.raises(ManifestError, match=r"m\.ledger\.jsonl, line 2: is not an opening"):
        find_openings(tmp_path / "m.parquet", ["a"])


def test_an_opening_that_stated_the_claim_is_no_reason_to_doubt_it(tmp_path: Path) -> None:
    manifest, images = tmp_path / "m.parquet", OpenedImages.of(["a", "b"])
    assert openings_without(manifest, images, "margin .02") == 0
    record_opening(manifest, ["a"], "model", "evaluate", claim="margin .02")
    assert openings_without(manifest, images, "margin .02") == 0
    assert openings_without(manifest, images, "margin .05") == 1
    record_opening(manifest, ["b"], "model", "evaluate")
    assert openings_without(manifest, images, "margin .02") == 1
    assert openings_without(manifest, OpenedImages.of(["c"]), "margin .02") == 0


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, write = tmp_path / "m.parquet", os.write
    record_opening(manifest, ["a" * 64], "b" * 64, "evaluate")
    before = ledger_path(manifest).read_bytes()
    monkeypatch.setattr(os, "write", lambda handle, line: write(handle, line[:50]))  # what fits
    with pytest.raises(ManifestError, match=r"m\.ledger\.jsonl: cannot be written: No space left on device"):
        record_opening(manifest, ["a" * 64], "b" * 64, "evaluate")
    assert ledger_path(manifest).read_bytes() == before
