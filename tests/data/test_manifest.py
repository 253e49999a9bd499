"""The manifest is validated on write and on read, and errors name the violation."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.columns import COLUMNS
from pneumoscope.data.label_rows import read_label_rows
from pneumoscope.data.manifest import Manifest, read_manifest, validate, write_manifest

Rows = Callable[..., dict[str, Any]]


def test_a_written_manifest_is_read_back(tmp_path: Path, make_row: Rows) -> None:
    rows = [make_row(1, patient_id="7", age=4.5, view="AP Supine", sex="F", split="test"), make_row(2)]
    manifest = Manifest.from_rows(rows, {"here": tmp_path / "elsewhere"}, ["made by hand"])
    write_manifest(manifest, tmp_path / "m.parquet")
    read_back = read_manifest(tmp_path / "m.parquet")
    pd.testing.assert_frame_equal(read_back.table, manifest.table)
    assert list(read_back.table.columns) == list(COLUMNS)
    assert read_back.notes == ("made by hand",)
    assert read_back.table["view"].isna().tolist() == [False, True]


def test_the_same_rows_give_the_same_bytes_however_they_lie_in_memory(tmp_path: Path, make_row: Rows) -> None:
    """Beyond a mebibyte Parquet gives up a column's dictionary, and where it does so followed the parts in memory."""
    count = 40_000
    one = Manifest.from_rows([make_row(1)], {"here": tmp_path}).table
    whole = one.iloc[np.zeros(count, dtype=int)].reset_index(drop=True)
    hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    images = [f"a/{number}.png" for number in range(count)]
    whole = whole.assign(sha256=pd.array(hashes, dtype=whole.sha256.dtype), image=images, group=images)
    written = []
    for cuts in ([0, count], [0, 300, 9000, 9001, count], [*range(0, count, 512), count]):
        parts = [whole.iloc[start:end] for start, end in itertools.pairwise(cuts)]
        path = tmp_path / f"{len(cuts)}.parquet"
        write_manifest(Manifest(pd.concat(parts, ignore_index=True), {"here": tmp_path}), path)
        written.append(path.read_bytes())
    assert [content == written[0] for content in written] == [True] * 3


def test_labels_of_ones_own_travel_with_the_manifest(tmp_path: Path, make_row: Rows) -> None:
    labels = LabelSet.builtin().with_entries({"Плеврит": {"names": {"de": "Rippenfellentzündung"}}}, "here")
    rows = [make_row(1, label="Плеврит"), make_row(2)]
    write_manifest(Manifest.from_rows(rows, {"here": tmp_path}, labels=labels), tmp_path / "m.parquet")
    manifest = Manifest.read(tmp_path / "m.parquet")
    assert manifest.table.label.tolist() == ["Плеврит", "normal"]
    assert manifest.labels.name_of("Плеврит", "de") == "Rippenfellentzündung"
    assert read_label_rows(tmp_path / "m.parquet").vocabulary.own == manifest.labels.own == labels.own
    with pytest.raises(ManifestError, match="label = 'Плеврит': must be one of"):
        Manifest.from_rows(rows, {})


def test_a_root_inside_the_manifests_folder_moves_with_it(tmp_path: Path, make_row: Rows) -> None:
    old, new, outside = tmp_path / "old", tmp_path / "new", tmp_path / "outside"
    (old / "images").mkdir(parents=True)
    outside.mkdir()
    rows = [make_row(1), make_row(2, source="there")]
    write_manifest(Manifest.from_rows(rows, {"here": old / "images", "there": outside}), old / "m.parquet")
    old.rename(new)
    assert read_manifest(new / "m.parquet").paths() == [new / "images/a/1.png", outside / "a/2.png"]


def test_roots_can_be_moved_and_unknown_sources_are_refused(tmp_path: Path, make_row: Rows) -> None:
    write_manifest(Manifest.from_rows([make_row(1)], {"here": tmp_path / "gone"}), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=r"which is not a folder.*`roots={'here': 'DIR'}`"):
        read_manifest(tmp_path / "m.parquet").paths()
    moved = read_manifest(tmp_path / "m.parquet", {"here": tmp_path})
    assert moved.paths() == [tmp_path / "a/1.png"]
    with pytest.raises(UsageError, match=r"`roots=.*her.*: is not a source.*Did you mean 'here'"):
        read_manifest(tmp_path / "m.parquet", {"her": tmp_path})


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ({"label": "norml"}, r"row 1, label = 'norml': must be one of covid-19, normal"),
        ({"view": "pa"}, r"row 1, view = 'pa': must be one of PA, AP, AP Supine, L"),
        ({"split": "dev"}, r"row 1, split = 'dev': must be one of train"),
        ({"sex": "male"}, r"row 1, sex = 'male': must be one of M, F"),
        ({"age": 540}, r"row 1, age = 540.0: must be years"),
        ({"age": "old"}, r"row 1, age = 'old': must be a number"),
        ({"group": None}, r"row 1, group = nan: must be present"),
        ({"image": "/etc/x.png"}, r"row 1, image = '/etc/x.png': must be a relative path"),
        ({"image": "a/../../x.png"}, r"row 1, image = .*without '\.\.'"),
        ({"image": "a\\x.png"}, r"row 1, image = .*forward slashes"),
        ({"sha256": "AB"}, r"row 1, sha256 = 'AB': must be 64 lower-case"),
        ({"width": 0}, r"row 1, width = 0: must be at least 1"),
        ({"image": "a/1.png"}, r"rows 0, 1, image .*once per source"),
        ({"group": "g1", "split": "test"}, r"group 'g1' \(rows 0, 1\) lies in test and train"),
    ],
)
def test_an_error_names_the_row_the_value_and_the_rule(make_row: Rows, invalid: dict[str, Any], message: str) -> None:
    rows = [make_row(1, split="train"), {**make_row(2), **invalid}]
    with pytest.raises(ManifestError, match=message):
        Manifest.from_rows(rows, {})


def test_many_errors_are_counted(make_row: Rows) -> None:
    with pytest.raises(ManifestError, match=r"row 4, label.*; and 3 more\."):
        Manifest.from_rows([make_row(number, label="?") for number in range(8)], {})


def test_columns_are_exactly_those_of_the_contract(make_row: Rows) -> None:
    table = Manifest.from_rows([make_row(1)], {}).table
    with pytest.raises(ManifestError, match="column 'age': is missing"):
        validate(Manifest(table.drop(columns="age")))
    with pytest.raises(ManifestError, match=r"column 'lable': is not in the contract. Did you mean 'label'"):
        validate(Manifest(table.assign(lable="x")))


def test_a_group_may_be_in_one_part_and_partly_in_none(make_row: Rows) -> None:
    manifest = Manifest.from_rows([make_row(1, group="g", split="train"), make_row(2, group="g")], {})
    assert manifest.parts_present == ("train",)


def test_hashes_depend_only_on_images_labels_and_parts(make_row: Rows) -> None:
    rows = [make_row(2, label="covid-19", split="test"), make_row(1)]
    manifest = Manifest.from_rows(rows, {})
    one, two = f"{1:064x}", f"{2:064x}"
    assert manifest.rows_hash() == hashlib.sha256(f"{one} normal\n{two} covid-19".encode()).hexdigest()
    assert manifest.split_hash() == hashlib.sha256(f"{one} -\n{two} test".encode()).hexdigest()
    elsewhere = Manifest.from_rows([{**row, "image": f"b/{row['image']}"} for row in reversed(rows)], {})
    assert elsewhere.rows_hash() == manifest.rows_hash()
    assert elsewhere.split_hash() == manifest.split_hash()


def test_the_kind_of_group_is_the_weakest_present(make_row: Rows) -> None:
    patient = [make_row(1, patient_id="7", group="p"), make_row(2, patient_id="8", group="p")]
    mixed = [make_row(3, patient_id="9", group="c"), make_row(4, group="c")]
    alone = [make_row(5)]
    assert Manifest.from_rows(patient, {}).group_kind == "patient"
    assert Manifest.from_rows(patient + mixed, {}).group_kind == "near-duplicate cluster"
    assert Manifest.from_rows(patient + mixed + alone, {}).group_kind == "image"


def test_a_part_without_rows_is_an_error_with_the_way_out(make_row: Rows) -> None:
    manifest = Manifest.from_rows([make_row(1)], {})
    with pytest.raises(ManifestError, match=r"part 'test': has no rows.*never split.*`pneumoscope.split`"):
        manifest.part("test")
    with pytest.raises(UsageError, match=r"part 'tset': is unknown. Did you mean 'test'"):
        manifest.part("tset")


def test_files_that_are_not_manifests_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ManifestError, match=r"text\.parquet: is not a Parquet file"):
        read_manifest(tmp_path / "text.parquet")
    with pytest.raises(ManifestError, match=r"other\.parquet: is a Parquet file, but not a manifest"):
        read_manifest(tmp_path / "other.parquet")
    with pytest.raises(ManifestError, match=r"absent\.parquet: there is no such file"):
        read_manifest(tmp_path / "absent.parquet")


def test_the_html_of_a_manifest_has_numbers_and_no_folders(make_row: Rows) -> None:
    rows = [make_row(1, label="covid-19", split="train"), make_row(2, label="normal", split="test"), make_row(3)]
    manifest = Manifest.from_rows(rows, {"here": Path("/secret/folder")})
    assert repr(manifest) == "Manifest(3 images, 3 groups; here 3; parts: train, test)"
    html = manifest._repr_html_()
    assert "<td>COVID-19</td>" not in html and "<td>covid-19</td>" in html
    assert [row["all"] for row in manifest.counts()] == [1, 2]
    assert "secret" not in html + repr(manifest)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "is a folder, not a manifest"),
        ("labels.csv", "is a table, not a manifest"),
        ("gone.parquet", "there is no such file"),
    ],
)
def test_what_is_no_manifest_is_named_with_the_way_to_one(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "labels.csv").write_text("image,label\na.png,normal\n")
    with pytest.raises(ManifestError, match=rf"{message}.*`pneumoscope\.import_data`"):
        Manifest.read(tmp_path / name)


def test_a_damaged_manifest_is_one_line(tmp_path: Path, make_row: Rows) -> None:
    """Cut anywhere, or with any byte changed: the table as written, or an error of one line."""
    path = tmp_path / "m.parquet"
    manifest = Manifest.from_rows([make_row(number) for number in range(3)], {"here": tmp_path})
    write_manifest(manifest, path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    damaged = [whole[:size] for size in (0, 4, len(whole) // 2, len(whole) - 1)]
    damaged += [
        whole[:place] + bytes([whole[place] ^ int(random.integers(1, 256))]) + whole[place + 1 :]
        for place in random.integers(0, len(whole), 40)
    ]
    for data in damaged:
        path.write_bytes(data)
        try:
            read_manifest(path)
        except ManifestError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_no_manifest_is_one_line(
    tmp_path: Path, make_row: Rows, monkeypatch: pytest.MonkeyPatch, problem: int
) -> None:
    manifest = Manifest.from_rows([make_row(1)], {"here": tmp_path})

    def refuse(*_: object) -> None:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ManifestError, match=rf"m\.parquet: cannot be written: {os.strerror(problem)}"):
        write_manifest(manifest, tmp_path / "m.parquet")
    assert list(tmp_path.iterdir()) == []


def test_the_design_is_written_with_the_manifest_and_kept_by_its_parts(tmp_path: Path, make_row: Rows) -> None:
    rows = [make_row(number, split=part) for number, part in enumerate(("train", "test", "test"))]
    manifest = replace(Manifest.from_rows(rows, {"here": tmp_path}), design="cohort")
    manifest.write(tmp_path / "cohort.parquet")
    again = read_manifest(tmp_path / "cohort.parquet")
    assert (again.design, again.part("test").design) == ("cohort", "cohort")
    replace(manifest, design=None).write(tmp_path / "unstated.parquet")
    assert read_manifest(tmp_path / "unstated.parquet").design is None
