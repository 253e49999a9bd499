"""Which files are images: `predict`, imports and the server use the same table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from pneumoscope.core.errors import ImageError, UsageError
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES
from pneumoscope.imaging.files import IMAGE_ENDINGS, find_images, why_not_image
from pneumoscope.imaging.read import read


def test_images_are_listed_in_order_and_other_files_are_counted(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpeg", "a.tif", "z.webp", "c/dicom-without-ending", "c/DICOMDIR"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM" if "dicom" in name.lower() else b"")
    for name in ("notes.txt", "more.txt", ".hidden.png", "table.csv", "no-ending", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    (tmp_path / "gone.png").symlink_to(tmp_path / "moved-away.png")
    Image.new("L", (4, 4)).save(tmp_path / "png-without-ending", "PNG")
    listing = find_images([tmp_path, tmp_path / "notes.txt"])
    assert [os.path.relpath(path, tmp_path) for path in listing.files] == [
        "a.tif", "b/1.jpeg", "b/2.PNG", "c/dicom-without-ending", "png-without-ending", "z.webp",
        "notes.txt",  # the caller named this file
    ]  # fmt: skip
    assert listing.passed_over == {
        "hidden": 2, ".txt": 2, ".csv": 1, "without an ending": 2, "linked folders": 1, "broken symbolic links": 1,
    }  # fmt: skip


def test_a_folder_of_broken_links_is_an_error_that_names_them(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").symlink_to(tmp_path / "elsewhere" / f"{number}.png")
    with pytest.raises(UsageError, match=r"Passed over: 3 broken symbolic links"):
        find_images([tmp_path])
    with pytest.raises(ImageError, match="is a symbolic link to a file that is not there"):
        read(tmp_path / "0.png")


def test_a_folder_without_radiographs_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match=r"holds no radiograph.*1 \.txt"):
        find_images([tmp_path])


@pytest.mark.parametrize("ending", sorted(IMAGE_ENDINGS))
def test_imports_and_predictions_accept_the_same_endings(tmp_path: Path, ending: str) -> None:
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / f"one{ending.upper()}").write_bytes(b"x")
    listing = SOURCES.get("folder").list_images(tmp_path, ImportOptions())
    assert [Path(path).name for path in find_images([tmp_path]).files] == [Path(r.image).name for r in listing.rows]


def test_an_import_lists_a_broken_link_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "one.png").write_bytes(b"x")
    (tmp_path / "normal" / "two.png").symlink_to(tmp_path / "elsewhere.png")
    listing = SOURCES.get("folder").list_images(tmp_path, ImportOptions())
    assert [row.image for row in listing.rows] == ["normal/one.png"]
    assert [(one.file, one.reason) for one in listing.dropped] == [
        ("normal/two.png", "a symbolic link to a file that is not there")
    ]


def test_a_reason_names_the_ending(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert why_not_image(tmp_path / "notes.txt") == "not an image by its name (*.txt)"
    assert why_not_image(tmp_path / ".x.png") == "hidden file"
