"""A CSV file as spreadsheets write it, and class folders as people name them, give the rows that a person sees.

The authority is what the spreadsheet shows: each file is written byte by byte here, and read without a guess.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from pneumoscope.cli.wording import for_command_line
from pneumoscope.core.errors import LabelError, ManifestError, PneumoscopeError, UsageError
from pneumoscope.data.cells import parse_age
from pneumoscope.data.source import ImportOptions, Listing, files_under
from pneumoscope.data.source_table import read_table
from pneumoscope.data.sources import SOURCES

HEADER = ("image", "label", "age")
ROWS = (("a.png", "Lungenentzündung", "58,5"), ("b.png", "normal", "7"))


def _folder(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _scan(path: Path, text: str | bytes, source: str = "csv", **options: object) -> Listing:
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text, encoding="utf-8")
    return SOURCES.get(source).list_images(path, ImportOptions(**options))  # type: ignore[arg-type]


def _text(separator: str, end: str = "\r\n") -> str:
    return end.join(separator.join(row) for row in (HEADER, *ROWS)) + end


def test_terms_become_labels_in_their_own_words(tmp_path: Path) -> None:
    """One label for all spellings of a term; a term with two findings in it, or without a letter, is still refused."""
    _folder(tmp_path, "a.png", "b.png", "c.png", "d.png")
    text = "image,label\na.png,Плеврит\nb.png, плеврит\nc.png,Fluid overload\nd.png,TB\n"
    listing = _scan(tmp_path / "t.csv", text, keep_terms=True, mapping={"Fluid overload": "Overload"})
    assert [row.label for row in listing.rows] == ["Плеврит", "Плеврит", "Overload", "tuberculosis"]
    assert [label.identifier for label in listing.labels.own] == ["Overload", "Плеврит"]
    assert any("плеврит" in note and "is read as Плеврит" in note for note in listing.notes)
    for term in ("Effusion|Mass", "1"):
        with pytest.raises(LabelError, match="no label for 1 term"):
            _scan(tmp_path / "t.csv", f"image,label\na.png,{term}\n", keep_terms=True)
    with pytest.raises(LabelError, match="`keep_terms=True`"):
        _scan(tmp_path / "t.csv", text)


def test_class_folders_become_labels_in_their_own_words(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "train/Silicosis/1.png", "train/Silicosis/p2/2.png", "train/Normal/3.png")
    listing = SOURCES.get("folder").list_images(folder, ImportOptions(keep_terms=True))
    assert {row.image: row.label for row in listing.rows} == {
        "train/Silicosis/1.png": "Silicosis",
        "train/Silicosis/p2/2.png": "Silicosis",
        "train/Normal/3.png": "normal",
    }


def test_a_source_with_fixed_labels_takes_no_vocabulary(tmp_path: Path) -> None:
    from pneumoscope.core.labels import LabelSet

    labels = LabelSet.builtin().covering(["Silicosis"])
    with pytest.raises(UsageError, match="whose labels are fixed"):
        SOURCES.get("shenzhen").list_images(tmp_path, ImportOptions(vocabulary=labels))


@pytest.mark.parametrize(
    "data",
    [
        _text(";").encode("cp1252"),
        _text(";").encode("utf-8-sig"),
        _text("\t").encode("utf-16"),
        _text("\t").encode("utf-16-le"),
        _text("\t").encode("utf-16-be"),
        b"\xfe\xff" + _text("\t").encode("utf-16-be"),
        _text("|").encode(),
        ("sep=;\r\n" + _text(";")).encode(),
        ('"sep=;"\r\n' + _text(";")).encode(),
        ("SEP=;;;;;\n" + _text(";", "\n")).encode("utf-8-sig"),
        ("sep=;\r" + _text(";", "\r")).encode(),
        ("sep=\t\r\n" + _text("\t")).encode("utf-16"),
        ("sep=#\n" + _text("#", "\n")).encode(),
        _text(";").encode() + b"\x1a",
        _text(";").encode("cp1252") + b"\x1a\x1a\r\n",
        _text(";").encode() + b"\x1a" + bytes(100),
        _text(";", "\r").encode(),
        _text(";").replace(";58,5", ';"58,5";;').replace(";age", ";age;;").encode(),
        _text(",").replace("58,5", '"58,5"').encode(),
        _text(";").replace("image", " Image ").encode(),
    ],
    ids=[
        "cp1252",
        "BOM",
        "UTF-16",
        "16-LE",
        "16-BE",
        "BE-BOM",
        "bars",
        "sep=",
        "quoted sep=",
        "wide sep=",
        "sep= old-Mac",
        "sep= tab",
        "sep= hash",
        "end mark",
        "end marks",
        "end mark and zeros",
        "old-Mac",
        "trailing",
        "commas",
        "case",
    ],
)
def test_every_separator_and_encoding_gives_the_same_rows(tmp_path: Path, data: bytes) -> None:
    folder = _folder(tmp_path, "a.png", "b.png")
    listing = _scan(folder / "t.csv", data, columns={"age": "age"})
    assert [(row.image, row.label, row.raw_label, row.age) for row in listing.rows] == [
        ("a.png", "pneumonia", "Lungenentzündung", 58.5),
        ("b.png", "normal", "normal", 7.0),
    ]
    assert any("cp1252" in note for note in listing.notes) == (b"\xfc" in data and b"\0" not in data)


def test_another_code_page_is_named_by_an_option(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "a.png")
    data = "image;label\r\na.png;Пневмония\r\n".encode("cp1251")
    with pytest.raises(LabelError):
        _scan(folder / "t.csv", data)
    assert _scan(folder / "t.csv", data, encoding="cp1251").rows[0].label == "pneumonia"
    with pytest.raises(UsageError, match="`encoding='klingon'`: is unknown"):
        _scan(folder / "t.csv", data, encoding="klingon")


def test_rows_are_counted_as_the_spreadsheet_shows_them(tmp_path: Path) -> None:
    """Blank rows count, a cell with a line break is one row, and the header is row 1."""
    path = tmp_path / "t.csv"
    path.write_text('image,label\n"a\nb.png",x\n\n,\nc.png,y\n')
    table = read_table(path)
    assert [(table.where(place), table.rows[place][0]) for place in range(2)] == [
        ("t.csv, row 2", "a\nb.png"),
        ("t.csv, row 5", "c.png"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na.png,normal,oops\nb.png,x\nc.png,y,z,w\n", r"(?s)2 rows have.*row 2: 3 cells.*row 4: 4 cells"),
        ('image,label\na.png,"normal\nb.png,normal\n', r"t\.csv, row 2: is not a row of a CSV file"),
        ("", "has no rows"),
        (b"PK\x03\x04...", "is a workbook"),
        (b"\xff\xfe\x00", "is not text in utf-16"),
    ],
)
def test_a_broken_table_names_its_rows(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        _scan(tmp_path / "t.csv", text)


def test_no_row_is_shifted_where_each_has_one_cell_more(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="1 row has more cells than the header, which has 2"):
        _scan(_folder(tmp_path, "a.png") / "t.csv", "image,label\n1,a.png,normal\n")


@pytest.mark.parametrize(
    "name",
    ["sub/ä.png", "./sub/ä.png", "sub\\ä.png", ".\\sub\\ä.png", "ä.png", " sub/ä.png ", "sub//x/../ä.png", "SUB/Ä.PNG"],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_a_name_finds_its_file_in_any_form(tmp_path: Path, name: str, form: str, on_disk: str) -> None:
    folder = _folder(tmp_path, unicodedata.normalize(on_disk, "sub/ä.png"))
    listing = _scan(folder / "t.csv", f"image,label\n{unicodedata.normalize(form, name)},normal\n")
    assert [row.image for row in listing.rows] == [unicodedata.normalize(on_disk, "sub/ä.png")]
    assert ("1 images are named in other case than their files" in listing.notes) == (name == "SUB/Ä.PNG")


def test_absolute_paths_and_paths_from_the_table_find_files_inside_the_folder(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "images/a.png", "images/b.png", "images/c.png")
    text = f"image,label\n{folder}/images/a.png,normal\nimages/b.png,normal\n../{folder.name}/images/c.png,normal\n"
    listing = _scan(folder / "t.csv", text, images=folder / "images")
    assert [row.image for row in listing.rows] == ["a.png", "b.png", "c.png"]
    with pytest.raises(ManifestError, match="1 images are not under"):
        _scan(folder / "t.csv", "image,label\n/elsewhere/a.png,normal\n", images=folder / "images")


def test_a_missing_ending_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"'a'\. A file is 'a\.png'"):
        _scan(_folder(tmp_path, "a.png") / "t.csv", "image,label\na,normal\n")


def test_labels_are_matched_by_case_and_blanks_and_said(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "a.png", "b.png", "c.png")
    listing = _scan(folder / "t.csv", "image,label\na.png,Normal \nb.png,PNEUMONIA\nc.png,normal\n")
    assert [(row.label, row.raw_label) for row in listing.rows] == [
        ("normal", "Normal "),
        ("pneumonia", "PNEUMONIA"),
        ("normal", "normal"),
    ]
    assert listing.notes == ["'Normal ' is read as normal (1)", "'PNEUMONIA' is read as pneumonia (1)"]


def test_all_unknown_and_blank_labels_are_named_with_the_options_to_paste(tmp_path: Path) -> None:
    folder = _folder(tmp_path, *(f"{name}.png" for name in "abcdef"))
    text = "image,label\na.png,Abszess\nb.png,Abszess\nc.png,\nd.png, \ne.png,pneumona\nf.png,normal\n"
    with pytest.raises(LabelError) as caught:
        _scan(folder / "t.csv", text)
    assert "  2  'Abszess'\n" in str(caught.value)
    assert "`mapping={'Abszess': 'LABEL', 'pneumona': 'pneumonia'}`\n" in str(caught.value)
    assert '--map "Abszess=LABEL" --map "pneumona=pneumonia"\n' in for_command_line(str(caught.value))
    assert str(caught.value).count("blank: no label at all") == 2  # an empty cell and one blank
    listing = _scan(folder / "t.csv", text, drop_unmapped=True, mapping={"abszess": "Other"})
    assert [row.label for row in listing.rows] == ["other", "other", "normal"]
    assert [(dropped.file, dropped.reason) for dropped in listing.dropped] == [
        ("c.png", "its label is blank"),
        ("d.png", "its label is blank"),
        ("e.png", "label 'pneumona' is not mapped"),
    ]


BAD = "image,label,age,sex,view\na.png,normal,412,M,PA\nb.png,normal,-3,X,PA\n\nc.png,normal,1950-03-04,F,Oblique\n"


def test_every_bad_cell_is_named_before_an_image_is_read(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "a.png", "b.png", "c.png")  # empty files: reading one would be another error
    columns = {name: name for name in ("age", "sex", "view")}
    with pytest.raises(ManifestError) as caught:
        _scan(folder / "t.csv", BAD, columns=columns)
    for line in (
        "t.csv, row 2, age: has '412'",
        "t.csv, row 3, age: has '-3'",
        "t.csv, row 5, age: has '1950-03-04'",
        "t.csv, row 3, sex: has 'X'",
        "t.csv, row 5, view: has 'Oblique'",
        "--bad-ages null --bad-sexes null --bad-views null",
    ):
        assert line in for_command_line(str(caught.value))
    with pytest.raises(ManifestError, match=r"(?s)2 cells break.*row 3, sex.*row 5, view"):
        _scan(folder / "t.csv", BAD, columns=columns, lenient_columns=frozenset({"age"}))
    listing = _scan(folder / "t.csv", BAD, columns=columns, lenient_columns=frozenset(columns))
    assert [(row.age, row.sex, row.view) for row in listing.rows] == [
        (None, "M", "PA"),
        (None, None, "PA"),
        (None, "F", None),
    ]
    assert listing.notes[0].startswith("3 bad values of age count as unknown: t.csv, row 2, age: has '412'")


@pytest.mark.parametrize(
    ("cell", "age"), [("58,5", 58.5), (" 7 ", 7), ("058y", 58), ("130", 130), ("#NV", None), ("n/a", None)]
)
def test_ages_are_read_as_spreadsheets_write_them(cell: str, age: float | None) -> None:
    assert parse_age(cell) == age


@pytest.mark.parametrize("cell", ["131", "999Y", "-1", "1.234,5", "03.04.1950", "58 years", "1e3"])
def test_impossible_ages_are_errors(cell: str) -> None:
    with pytest.raises(ValueError, match="the age"):
        parse_age(cell)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_class_folders_in_other_languages(tmp_path: Path, form: str) -> None:
    expected = {
        "Нормальные": "normal",
        "Lungenentzündung": "pneumonia",
        "正常": "normal",
        "Neumonía": "pneumonia",
        "病毒性肺炎": "viral-pneumonia",
        "Viral_Pneumonia": "viral-pneumonia",
        "COVID19": "covid-19",
        "ذات‌الریه": "pneumonia",
        "दूसरा": "other",
    }
    names = {unicodedata.normalize(form, name): label for name, label in expected.items()}
    _folder(tmp_path, *(f"{name}/1.png" for name in names))
    listing = SOURCES.get("folder").list_images(tmp_path, ImportOptions(mapping={"दूसरा": "other"}))
    assert {row.raw_label: row.label for row in listing.rows} == names
    assert unicodedata.normalize(form, "'Neumonía' is read as pneumonia (1)") in listing.notes


def test_unknown_class_folders_are_named_by_the_level_that_differs(tmp_path: Path) -> None:
    _folder(tmp_path, "set/train/Abszess/p1/1.png", "set/test/Abszess/p2/1.png", "set/train/Rippe/p3/1.png")
    with pytest.raises(LabelError) as caught:
        SOURCES.get("folder").list_images(tmp_path, ImportOptions())
    assert '--map "Abszess=LABEL" --map "Rippe=LABEL"' in for_command_line(str(caught.value))
    assert "  2  'Abszess'" in str(caught.value)


def test_what_cannot_be_looked_at_is_listed_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path, "a.png", "locked/b.png", ".hidden/c.png", "other/d.png")
    (folder / "loop").symlink_to("loop")
    (folder / "linked").symlink_to("other")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = _scan(folder / "t.csv", "image,label\na.png,normal\n")
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        ".hidden": "hidden folder",
        "linked": "a symbolic link to a folder, which is not followed",
        "locked": "cannot be looked at: Permission denied",
        "loop": "a symbolic link to a file that is not there",
        "other/d.png": "no row in the table",
    }
    with pytest.raises(ManifestError, match="cannot be listed: Permission denied"):
        list(files_under(folder))


@pytest.mark.skipif(os.name == "nt", reason="Windows allows neither name")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a\\b.png", r"normal/a\\b.png"),
        (b"\xff\xfe.png", r"normal/\udcff\udcfe.png"),
        ("ä\\b.png".encode(), r"normal/ä\\b.png"),
    ],
)
def test_a_name_that_no_manifest_can_hold_is_refused_before_reading(tmp_path: Path, name: bytes, shown: str) -> None:
    (tmp_path / "normal").mkdir()
    try:
        Path(os.fsdecode(os.fsencode(tmp_path / "normal") + b"/" + name)).touch()
    except OSError:
        pytest.skip("this file system allows no such name")
    with pytest.raises(PneumoscopeError) as caught:
        SOURCES.get("folder").list_images(tmp_path, ImportOptions())
    assert caught.value.problem == f"1 name of files cannot be in a manifest: '{shown}'."  # as Python writes it, once


def test_a_column_that_no_manifest_has_is_refused(tmp_path: Path) -> None:
    """Ignored, ``patient`` in place of ``patient_id`` would lose the grouping by patient."""
    table = _folder(tmp_path, "a.png") / "t.csv"
    table.write_text("image,label,who\na.png,normal,p1\n")
    with pytest.raises(UsageError, match=r"fills no column of a manifest\. Did you mean 'patient_id'"):
        SOURCES.get("csv").list_images(table, ImportOptions(columns={"patient": "who"}))
    listed = SOURCES.get("csv").list_images(table, ImportOptions(columns={"patient_id": "who"}))
    assert [row.patient_id for row in listed.rows] == ["p1"]
