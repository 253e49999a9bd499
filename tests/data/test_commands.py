"""The `data` commands: what they print agrees with the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pneumoscope.cli.data import app
from pneumoscope.core.errors import LabelError, PneumoscopeError, UsageError
from pneumoscope.data.manifest import read_manifest

Draw = Callable[..., Path]


def _run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def _json(*words: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_run(*words, "--json"))
    return answer


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Path:
    """Ten images of sick patients, twenty of healthy ones and a text file."""
    for number in range(30):
        draw(tmp_path / f"set/{'Sick' if number < 10 else 'normal'}/{number}.png", number, 64)
    (tmp_path / "set/about.txt").write_text("about")
    return tmp_path / "set"


@pytest.fixture
def manifest(folder: Path, tmp_path: Path) -> Path:
    _run("import", "folder", folder, "--map", "Sick=pneumonia", "-o", tmp_path / "m.parquet")
    return tmp_path / "m.parquet"


def test_import_reports_the_images_and_the_dropped_files_with_reasons(folder: Path, tmp_path: Path) -> None:
    words = (
        "import",
        "folder",
        folder,
        "--map",
        "Sick=pneumonia",
        "--source-name",
        "mine",
        "-o",
        tmp_path / "m.parquet",
    )
    output = _run(*words)
    assert "30 images of mine" in output
    assert "Dropped: 1 file or row" in output
    assert "not an image by its name (*.txt) (about.txt)" in output
    report = _json(*words)
    assert report["kept"] == {"normal": 20, "pneumonia": 10}
    assert report["dropped_files"] == [{"file": "about.txt", "reason": "not an image by its name (*.txt)"}]


def test_split_keeps_the_persons_together_whom_the_names_of_files_tell(tmp_path: Path, draw: Draw) -> None:
    """NIH's files in class folders have no patient number; `data check` finds their persons by name, so does the split.

    A manifest of before has a group for each image: `--again` is the way out that the check names.
    """
    for number in range(24):
        name = f"{100 + number // 3:08d}_{number % 3:03d}.png"
        draw(tmp_path / f"set/{'pneumonia' if number % 2 else 'normal'}/{name}", number, 64)
    path = tmp_path / "m.parquet"
    _run("import", "folder", tmp_path / "set", "-o", path)
    new = read_manifest(path)
    assert new.table.group.nunique() == 8
    replace(new, table=new.table.assign(group="image:" + new.table.sha256.str[:16])).write(path)
    assert "24 groups were joined: by the names of their files they show the same persons." in _run(
        "split", path, "--test", ".25", "--validation", ".25"
    )
    divided = read_manifest(path)
    assert divided.table.groupby(divided.table.image.str[-16:-8])["split"].nunique().eq(1).all()
    assert "24 joined" in divided.notes[-2]
    assert "joined" not in _run("split", path, "--again")


def test_import_takes_the_columns_of_a_table_by_option(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,Finding,who\n" + "".join(f"{n}.png,Finding=1,p{n // 2}\n" for n in range(30)))
    _run(
        *("import", "csv", table, "--images", folder, "--image-column", "file", "--label-column", "Finding"),
        *("--patient-column", "who", "--map", "Finding=1=other", "--license", "ours", "-o", tmp_path / "c.parquet"),
    )
    read = read_manifest(tmp_path / "c.parquet")
    assert read.group_kind == "patient"
    assert read.table.group.nunique() == 15
    assert set(read.table.license) == {"ours"}


def test_split_prints_counts_and_needs_an_option_to_split_again(manifest: Path) -> None:
    output = _run("split", manifest, "--test", "0.2", "--validation", "0.1", "--calibration", "0.1")
    assert [line.split() for line in output.splitlines() if line.startswith("folder")] == [
        ["folder", "normal", "12", "2", "2", "4", "20"],
        ["folder", "pneumonia", "6", "1", "1", "2", "10"],
    ]
    with pytest.raises(UsageError, match=r"has parts already.*`again=True`"):
        _run("split", manifest)
    first = read_manifest(manifest).split_hash()
    assert _json("split", manifest, "--again", "--seed", "0")["split_hash"] == first
    assert _json("split", manifest, "--again", "--seed", "1")["split_hash"] != first


def test_split_by_ratio_with_balance_writes_another_file(manifest: Path, tmp_path: Path) -> None:
    other = tmp_path / "balanced.parquet"
    facts = _json("split", manifest, "--ratio", "80/20", "--balance", "1:1", "-o", other)
    assert read_manifest(manifest).parts_present == ()
    counts = {row["label"]: row for row in facts["counts"]}
    assert counts["normal"]["train"] == counts["pneumonia"]["train"] == 6
    assert counts["normal"]["no part"] == facts["left_out"]["normal"] == 6
    assert counts["normal"]["test"] == 4


def test_describe_reports_what_is_known(manifest: Path, folder: Path) -> None:
    facts = _json("describe", manifest)
    assert facts["images"] == 30
    assert facts["group_kind"] == "image"
    about = facts["sources"]["folder"]
    assert (about["root"], about["width"], about["bits"]) == (str(folder), [64, 64], [8])
    assert about["known"]["age"] == 0
    assert facts["rows_hash"] == read_manifest(manifest).rows_hash()
    assert "known by image only: true intervals are wider" in _run("describe", manifest)


def test_show_draws_the_images(manifest: Path, tmp_path: Path, folder: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert _run("show", manifest, "-o", sheet, "--label", "pneumonia", "--columns", "10").startswith("10 of 10 images")
    drawn = np.asarray(Image.open(sheet)).astype(int)
    tile = np.asarray(Image.open(folder / "Sick/0.png").resize((160, 160), Image.Resampling.BOX)).astype(int)
    places = [
        (top, left)
        for top in range(0, drawn.shape[0] - 159)
        for left in range(6, drawn.shape[1] - 159, 166)
        if np.abs(drawn[top : top + 160 : 16, left : left + 160 : 16] - tile[::16, ::16]).max() <= 2
    ]
    assert len(places) == 1


def test_merge_works_with_a_moved_folder(manifest: Path, folder: Path, tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "second/normal/a.png", 100)
    _run("import", "folder", tmp_path / "second", "--source-name", "second", "-o", tmp_path / "s.parquet")
    folder.rename(tmp_path / "moved")
    out = tmp_path / "both.parquet"
    with pytest.raises(PneumoscopeError, match=r"`roots=\{'folder': 'DIR'}`"):
        _run("merge", manifest, tmp_path / "s.parquet", "-o", out)
    output = _run("merge", manifest, tmp_path / "s.parquet", "-o", out, "--root", f"folder={tmp_path / 'moved'}")
    assert "31 images" in output
    assert read_manifest(out).paths()[0].is_file()


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["import", "foldr", ".", "-o", "x.parquet"], UsageError, "no such source"),
        (["import", "folder", ".", "-o", "x.csv"], UsageError, "must end with .parquet"),
        (["import", "folder", "nowhere", "-o", "x.parquet"], UsageError, "there is no such folder"),
        (
            ["import", "nih-chestxray14", "s3://bucket/nih", "-o", "x.parquet"],
            UsageError,
            r"^s3://bucket/nih: is an address; an import takes folders and files of this machine\. .*"
            r"then: `roots=\{'nih-chestxray14': 's3://bucket/nih'\}`",
        ),
        (
            ["import", "csv", "labels.csv", "--images", "memory://films", "-o", "x.parquet"],
            UsageError,
            "^memory:///films: is an address",
        ),
        (["import", "folder", ".", "--map", "a", "-o", "x.parquet"], UsageError, "must be TERM=LABEL"),
        (["import", "folder", ".", "--map", "a=b", "-o", "x.parquet"], LabelError, "not in the vocabulary"),
        (["describe", "nowhere.parquet"], PneumoscopeError, "there is no such file"),
        (["show", "nowhere.parquet", "-o", "x.gif"], UsageError, "must end with .png"),
    ],
)
def test_wrong_usage_is_refused(words: list[str], kind: type[PneumoscopeError], message: str) -> None:
    with pytest.raises(kind, match=message):
        _run(*words)


@pytest.mark.shared
def test_the_documented_command_imports_the_nih_sample(shared: Path, tmp_path: Path) -> None:
    _run(
        *("import", "csv", shared / "data/nih/labels.csv", "--source-name", "nih"),
        *("--image-column", "Image Index", "--label-column", "Finding Labels", "--patient-column", "Patient ID"),
        *("--map", "No Finding=normal", "--map", "Pneumonia=pneumonia", "-o", tmp_path / "nih.parquet"),
    )
    read = read_manifest(tmp_path / "nih.parquet")
    assert len(read) == 507
    assert read.group_kind == "patient"
    assert read.table.group.nunique() == 338
