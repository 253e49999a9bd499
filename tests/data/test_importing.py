"""An import reads the images that the source lists, groups related ones, and reports the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from pneumoscope.cli import main
from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.core.files import sha256_of
from pneumoscope.data.grouping import group_names, join_known_persons
from pneumoscope.data.importing import ImportReport, import_source
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.similarity import Pair
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES

Draw = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Path:
    """Two labels; one file of the first has a copy in the second."""
    for number in range(4):
        draw(tmp_path / f"set/normal/{number}.png", number)
        draw(tmp_path / f"set/covid-19/{number}.png", 10 + number)
    shutil.copy(tmp_path / "set/normal/0.png", tmp_path / "set/covid-19/copy.png")
    return tmp_path / "set"


def _import(folder: Path, **options: bool) -> tuple[Manifest, ImportReport]:
    return import_source(SOURCES.get("folder"), folder, ImportOptions(source_name="mine"), **options)


def test_every_image_is_read_hashed_and_grouped(folder: Path) -> None:
    manifest, report = _import(folder)
    table = manifest.table.set_index("image")
    assert report.kept == {"covid-19": 5, "normal": 4}
    assert set(table.source) == {"mine"}
    assert table.sha256.tolist() == [sha256_of(path) for path in manifest.paths()]
    assert set(zip(table.width, table.height, table.bits, strict=True)) == {(128, 128, 8)}
    assert table["split"].isna().all()
    assert table.group["normal/0.png"] == table.group["covid-19/copy.png"]
    assert table.group.nunique() == 8
    assert report.groups == {"image": 7, "near-duplicate cluster": 1}


def test_alike_pictures_of_two_patients_are_counted_apart(tmp_path: Path, draw: Draw, monkeypatch: Any) -> None:
    for number in range(3):
        draw(tmp_path / f"{number}.png", number)
    table = tmp_path / "set.csv"
    table.write_text("image,label,patient_id\n0.png,normal,a\n1.png,normal,b\n2.png,normal,b\n")
    pairs = [Pair(0, 1, 0.7), Pair(1, 2, 0.7)]
    monkeypatch.setattr("pneumoscope.data.importing.find_near_duplicates", lambda *_: pairs)
    more, out = ("--patient-column", "patient_id"), tmp_path / "m.parquet"
    done = CliRunner().invoke(main.app, ["data", "import", "csv", str(table), *more, "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "2 pairs of near-duplicates, of which patient numbers tell 1 apart." in done.output


def test_the_same_picture_with_two_labels_is_reported(folder: Path) -> None:
    _, report = _import(folder)
    assert len(report.conflicts) == 1
    assert "mine/covid-19/copy.png is covid-19, mine/normal/0.png is normal" in report.conflicts[0]


def test_one_error_names_all_unreadable_images(folder: Path) -> None:
    (folder / "normal/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "normal/text.jpg").write_text("no image")
    with pytest.raises(ImageError, match=r"(?s)2 of 11 images.*normal/broken\.png: .*normal/text\.jpg: ") as error_info:
        _import(folder)
    assert "`drop_unreadable=True`" in str(error_info.value)
    manifest, report = _import(folder, drop_unreadable=True)
    assert len(manifest) == 9
    assert [(dropped.file, dropped.reason.split(":")[0]) for dropped in report.dropped] == [
        ("normal/broken.png", "unreadable"),
        ("normal/text.jpg", "unreadable"),
    ]
    assert "dropped: 1 unreadable" in manifest.notes[0]


def test_a_set_without_one_readable_image_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal/a.png").touch()
    with pytest.raises(ManifestError, match="has no readable image"):
        _import(tmp_path, drop_unreadable=True)


def _table(*rows: tuple[str, str | None, str], names: Sequence[str] = ()) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["source", "patient_id", "sha256"])
    return table.assign(image=list(names) or [f"{number}.png" for number in range(len(table))])


def test_images_whose_names_tell_one_person_are_one_group() -> None:
    """NIH names its files by patient: copies of them in class folders have no patient number, and are still his."""
    table = _table(("mine", None, "1" * 64), ("mine", None, "2" * 64), ("nih", "165", "3" * 64), ("b", None, "4" * 64))
    table["image"] = ["a/00000165_001.png", "a/00000166_000.png", "00000165_004.png", "00000165.png"]
    assert group_names(table, []) == ["patient:nih/165", "image:" + "2" * 16, "patient:nih/165", "image:" + "4" * 16]


def test_groups_of_before_are_joined_by_names_and_the_others_keep_their_names() -> None:
    table = _table(*(("mine", None, digit * 64) for digit in "1234"))
    table["image"] = ["00000165_001.png", "x.png", "00000165_002.png", "y.png"]
    table["group"] = ["image:a", "cluster:gone", "image:b", "image:" + "4" * 16]
    joined, count = join_known_persons(table)
    assert joined["group"].tolist() == [
        "cluster:" + "1" * 16,
        "cluster:gone",
        "cluster:" + "1" * 16,
        "image:" + "4" * 16,
    ]
    assert count == 2
    assert join_known_persons(joined)[1] == 0


def test_equal_patient_numbers_of_two_sources_are_two_patients() -> None:
    names = group_names(_table(("a", "7", "1" * 64), ("b", "7", "2" * 64)), [])
    assert names == ["patient:a/7", "patient:b/7"]


def test_patients_that_share_a_picture_become_one_group() -> None:
    table = _table(("a", "7", "1" * 64), ("a", "8", "2" * 64), ("b", None, "3" * 64), ("b", None, "4" * 64))
    assert group_names(table, [Pair(0, 2, 0.9), Pair(1, 2, 0.9)]) == ["patient:a/7"] * 3 + ["image:" + "4" * 16]


def test_names_of_a_known_set_tell_its_patients_whatever_a_table_says() -> None:
    """The check of patients across parts goes by these names too, and advises to form the groups again."""
    rows = [("mine", number, digit * 64) for number, digit in zip("78", "12", strict=True)]
    rows += [("mine", None, "3" * 64), ("other", "9", "4" * 64)]
    names = ["00000165_001.png", "a/00000165_002.jpg", "00000166_000.png", "00000165_003.png"]
    one = "patient:mine/7"
    assert group_names(_table(*rows, names=names), []) == [one, one, "image:" + "3" * 16, one]
    shared = _table(("ieee8023", "7", "1" * 64), ("mine", None, "2" * 64), names=["figure-1a.png", "x/figure-1a.jpg"])
    assert group_names(shared, []) == ["patient:ieee8023/7"] * 2


def test_two_copies_of_a_file_are_a_cluster_named_after_their_hash() -> None:
    table = _table(("a", None, "2" * 64), ("a", None, "2" * 64), ("a", None, "1" * 64))
    assert group_names(table, []) == ["cluster:" + "2" * 16] * 2 + ["image:" + "1" * 16]


def test_rows_with_the_same_earlier_group_stay_together() -> None:
    table = _table(("a", None, "1" * 64), ("a", None, "2" * 64), ("a", None, "3" * 64))
    assert group_names(table, [], ["x", None, "x"]) == [
        "cluster:" + "1" * 16,
        "image:" + "2" * 16,
        "cluster:" + "1" * 16,
    ]


def test_what_nobody_foresaw_of_one_file_is_listed_with_the_unreadable_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    from pneumoscope.data import scan_worker

    files = []
    for side in (40, 41, 42):
        files.append(scan_worker.FileToRead(str(tmp_path / f"{side}.png"), None))
        Image.new("L", (side, side), 3 * side).save(files[-1].path)
    draw = scan_worker.thumbnail

    def fail(pixels: Any) -> Any:
        if len(pixels) == 41:
            raise ZeroDivisionError("division by zero")
        return draw(pixels)

    monkeypatch.setattr(scan_worker, "thumbnail", fail)
    first, second, third = scan_worker.scan_chunk(files).results
    assert isinstance(second, scan_worker.ImageError)
    assert "41.png: cannot be used (unexpected ZeroDivisionError: division by zero)" in str(second)
    assert [one.width for one in (first, third)] == [40, 42]
