"""Files named like tables that are none, paths of another computer, and cells of any length or content."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from pneumoscope.core.errors import LabelError, ManifestError, PneumoscopeError, UsageError
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.sources.darwin import read_annotation

TEXT = "image,label\na.png,normal\nb.png,pneumonia\n"


def scan(folder: Path, data: str | bytes, **options: Any) -> Listing:
    path = folder / "t.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return SOURCES.get("csv").list_images(path, ImportOptions(**options))


def write_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("t.csv", TEXT)
    return buffer.getvalue()


def write_parquet() -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"image": ["a.png"], "label": ["normal"]}), buffer)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "sub/c.png", "sub/ä b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (gzip.compress(TEXT.encode()), "a gzip archive"),
        (bz2.compress(TEXT.encode()), "a bzip2 archive"),
        (lzma.compress(TEXT.encode()), "an xz archive"),
        (write_zip(), "a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "a workbook"),
        (write_parquet(), "a Parquet file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "an image"),
        (b"%PDF-1.7\n", "a PDF document"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_another_kind_is_called_by_its_kind(folder: Path, data: bytes, kind: str) -> None:
    with pytest.raises(ManifestError, match=rf"t\.csv: is {kind}, not a CSV file"):
        scan(folder, data)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (TEXT.replace("normal", "nor\0mal").encode(), 2),
        (TEXT.encode() + bytes(4096), 4),
        (bytes(4096), 1),
        (("\ufeff" + TEXT.replace("normal", "\0")).encode("utf-16-le"), 2),
        (b"\0" + TEXT.encode(), 1),
    ],
)
def test_nul_characters_are_named_with_their_line(folder: Path, data: bytes, line: int) -> None:
    """A disk that failed leaves zero bytes; they are no sign of UTF-16."""
    with pytest.raises(ManifestError, match=rf"t\.csv, line {line}: holds a NUL character"):
        scan(folder, data)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_way_to_write_a_table_gives_the_same_rows(
    folder: Path, separator: str, encoding: str, form: str, end: str
) -> None:
    rows = (("image", "label", "note"), ("sub/ä b.png", "Neumonía", "一 日 Ā"), ("a.png", "normal", "—"))
    text = unicodedata.normalize(form, end.join(map(separator.join, rows)) + end)
    listing = scan(folder, text.encode(encoding))
    assert [(row.image, row.label) for row in listing.rows] == [("sub/ä b.png", "pneumonia"), ("a.png", "normal")]


def test_text_of_high_characters_is_still_utf_16(folder: Path) -> None:
    """Chinese text has few zero bytes, and some of them are low bytes (U+4E00)."""
    text = "image\tlabel\tnote\r\n" + "a.png\tnormal\t" + "一" * 500 + "\r\n"
    assert len(scan(folder, text.encode("utf-16-be")).rows) == 1
    assert len(scan(folder, text.encode("utf-16-le")).rows) == 1


@pytest.mark.parametrize(
    "name",
    [
        "C:\\Users\\me\\data\\sub\\c.png",
        "\\\\server\\share\\sub\\c.png",
        "file:///home/me/sub/c.png",
        "/home/me/sub/c.png",
    ],
)
def test_a_path_of_another_computer_is_answered_with_the_path_from_here(folder: Path, name: str) -> None:
    with pytest.raises(ManifestError) as caught:
        scan(folder, f"image,label\n{name},normal\na.png,normal\n")
    assert f"1 is an absolute path of another folder or computer: write paths from {folder}" in caught.value.way_out
    assert f"'sub/c.png' in place of {name!r}" in caught.value.way_out


def test_paths_of_another_computer_that_have_no_file_here_and_web_addresses_are_counted(folder: Path) -> None:
    text = "image,label\nD:\\x.png,normal\nfile:///y.png,normal\nhttps://example.org/z.png,normal\n"
    with pytest.raises(ManifestError) as caught:
        scan(folder, text)
    assert "2 are absolute paths of another folder or computer" in caught.value.way_out
    assert "1 is a web address: download the images" in caught.value.way_out


@pytest.mark.parametrize("start", ["file://", "file://localhost", "FILE:"])
def test_a_file_address_inside_the_folder_is_found(folder: Path, start: str) -> None:
    path = f"{folder}/sub/ä b.png".replace(" ", "%20").replace("ä", "%C3%A4")
    assert [row.image for row in scan(folder, f"image,label\n{start}{path},normal\n").rows] == ["sub/ä b.png"]


@pytest.mark.parametrize("cell", ['" lead.png"', "lead.png", " lead.png", '" sub/trail.png "', "trail.png"])
def test_a_file_whose_name_begins_or_ends_with_a_blank_is_found(folder: Path, cell: str) -> None:
    """A cell is stripped, and a file's name keeps its blanks."""
    (folder / " lead.png").touch()
    (folder / "sub" / "trail.png ").touch()
    expected = " lead.png" if "lead" in cell else "sub/trail.png "
    assert [row.image for row in scan(folder, f"image,label\n{cell},normal\n").rows] == [expected]


def test_a_file_without_the_blank_goes_first(folder: Path) -> None:
    (folder / " a.png").touch()
    assert [row.image for row in scan(folder, "image,label\n a.png,normal\n").rows] == ["a.png"]


LONG = "x" * 1_000_000
CELLS = {"image": "a.png", "label": "normal", "age": "50", "sex": "F", "view": "PA"}


@pytest.mark.parametrize("column", [*CELLS, "header"])
@pytest.mark.parametrize("cell", [LONG, "\x1b[31m\u202e" + LONG, "\x07bell"], ids=["long", "escape", "bell"])
def test_no_cell_is_echoed_whole_or_with_its_control_characters(folder: Path, column: str, cell: str) -> None:
    cells = {**CELLS, column: cell} if column != "header" else CELLS
    header = [cell if column == "header" and name == "view" else name for name in CELLS]
    text = ",".join(header) + "\n" + ",".join(cells.values()) + "\n"
    columns = {name: name for name in ("age", "sex", "view")}
    with pytest.raises(PneumoscopeError) as caught:
        scan(folder, text, columns=columns)
    message = str(caught.value)
    assert len(message) < 4000
    assert max(map(len, message.replace(str(folder), "").split())) < 300
    assert all(letter.isprintable() or letter == "\n" for letter in message)
    if column != "header":
        assert cell is not LONG or "(1,000,000 characters)" in message


def test_a_long_dropped_name_and_label_are_cut_too(folder: Path) -> None:
    text = f"image,label\na.png,{LONG}\n{LONG}.png,normal\nb.png,normal\n"
    listing = scan(folder, text, drop_unmapped=True, drop_missing=True)
    assert [row.image for row in listing.rows] == ["b.png"]
    assert max(len(dropped.file) + len(dropped.reason) for dropped in listing.dropped) < 600


def test_a_long_term_is_not_in_the_line_to_paste(folder: Path) -> None:
    with pytest.raises(LabelError) as caught:
        scan(folder, f"image,label\na.png,{LONG}\nb.png,Abszess\n")
    assert "`mapping={'Abszess': 'LABEL'}`" in caught.value.way_out


def test_many_columns_are_counted(folder: Path) -> None:
    with pytest.raises(UsageError, match="and 950 more"):
        scan(folder, ",".join(f"c{number}" for number in range(1000)) + "\n" + "1," * 999 + "1\n")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1", write_parquet()[:200], b"image,label\n"])
def test_a_damaged_manifest_ends_its_sentences(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.parquet"
    path.write_bytes(data)
    with pytest.raises(ManifestError) as caught:
        Manifest.read(path)
    assert caught.value.problem.endswith(".")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "about",
    ["", "{", "null", "[]", "5", '{"schema_version": 1}', "[" * 100_000]
    + [
        json.dumps({"schema_version": 1, "roots": {}, "notes": [], **change})
        for change in ({"roots": 5}, {"roots": [[]]}, {"notes": None}, {"design": []}, {"design": [[]]}, {"design": {}})
    ],
)
def test_damaged_facts_of_a_manifest_are_one_error(tmp_path: Path, about: str) -> None:
    table = pa.table({"image": ["a.png"]}).replace_schema_metadata({b"pneumoscope": about.encode()})
    parquet.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="is a manifest whose metadata are damaged"):
        Manifest.read(tmp_path / "m.parquet")


def test_text_of_a_manifest_that_is_not_utf_8_is_damage(tmp_path: Path) -> None:
    metadata = {b"pneumoscope": json.dumps({"schema_version": 1, "roots": {}, "notes": []}).encode()}
    text = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe")]
    )
    parquet.write_table(pa.table({"image": text}).replace_schema_metadata(metadata), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="is not a Parquet file, or is damaged") as caught:
        Manifest.read(tmp_path / "m.parquet")
    assert str(caught.value).isprintable()


def test_a_long_name_that_occurs_twice_is_cut() -> None:
    from pneumoscope.data.columns import COLUMNS, check_table

    row = {name: None for name in COLUMNS} | {"width": 1, "height": 1, "bits": 8, "source": "s", "label": "normal"}
    row |= {"image": "x" * 5000, "raw_label": "n", "group": "g", "sha256": "0" * 64, "phash": "0" * 16}
    with pytest.raises(ManifestError, match=r"rows 0, 1, image 's' / 'x+\.\.\.x+' \(5,000 characters\)"):
        check_table(pd.DataFrame([row, row]))


@pytest.mark.parametrize("value", [[[1]], [{"a": 1}], ["wide"], [b"\xff"]])
def test_a_column_of_another_type_is_named_with_its_rows(tmp_path: Path, value: list[Any]) -> None:
    """Lists and structs in a column of numbers are no traceback of pandas."""
    from pneumoscope.data.columns import COLUMNS, check_table

    columns = {name: value if name == "width" else ["1"] for name in COLUMNS}
    with pytest.raises(ManifestError, match=r"row 0, width = .*: must be a number"):
        check_table(pa.table(columns).to_pandas())


GOOD = {
    "image": {"width": 40, "height": 30, "filename": "a.png", "original_filename": "a.png"},
    "annotations": [{"name": "Lung", "polygon": {"path": [{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"x": 5, "y": 6.5}]}}],
}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"image": 1e400}', "'image' is not an object"),
        ("[" * 100_000, "a nesting in it is too long"),
        ("1" * 5000, "a number or a nesting in it is too long"),
        ("{", "it is not JSON at line 1, column 2"),
        ("5", "there is no object with the key 'image'"),
        (json.dumps({**GOOD, "annotations": 5}), "'annotations' is not a list"),
        (json.dumps({**GOOD, "annotations": [5]}), "there is no object with the key 'name'"),
        (json.dumps({**GOOD, "annotations": [{"tag": {}}]}), "the key 'name' is missing"),
        (json.dumps(GOOD).replace("40", "1e400"), "'width' is no number of pixels"),
        (json.dumps(GOOD).replace("40", '"40"'), "'width' is not a number"),
        (json.dumps(GOOD).replace("40", "true"), "'width' is not a number"),
        (json.dumps(GOOD).replace("6.5", "NaN"), "'y' of a point is no coordinate"),
        (json.dumps(GOOD).replace("6.5", "null"), "'y' is not a number"),
        (json.dumps(GOOD).replace('"original_filename": "a.png"', '"original_filename": 5'), "is not a text"),
        (json.dumps(GOOD).replace('"a.png"', "[]"), "'filename' is not a text"),
    ],
)
def test_a_damaged_annotation_is_named_with_its_rule(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ManifestError) as caught:
        read_annotation(tmp_path / "x.json", "x.json")
    assert problem in caught.value.problem
    assert caught.value.problem.endswith(".")


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'{"image": "\xff"}')
    with pytest.raises(ManifestError, match="byte 11 is not UTF-8"):
        read_annotation(tmp_path / "x.json", "x.json")
    (tmp_path / "x.json").write_text(json.dumps(GOOD))
    assert read_annotation(tmp_path / "x.json", "x.json").outlines.lung[0][0][2] == (5.0, 6.5)
