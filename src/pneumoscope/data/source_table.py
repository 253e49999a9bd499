"""Read a source's own table as spreadsheets write it: every cell as text, rows numbered as the spreadsheet shows them.

A CSV file states neither its encoding nor its separator. Excel writes semicolons where a comma separates decimals, tabs
for "Unicode text" (UTF-16) and the Windows code page for plain "CSV". Nothing is dropped or moved on the way: a row
that has more cells than the header is an error, not a shift of its cells by one column.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.core.arguments import argument, quote, shorten
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.imaging.files import BROKEN_LINK, is_broken_link

SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_CODE_PAGE = "cp1252"
_BYTE_ORDER_MARKS = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WORKBOOK = "Open it and save the sheet as CSV in UTF-8, then name that."
_UNPACK = "Unpack it and name the table in it."
_IMAGE = "Name the table that lists the images."
# (first bytes, description, way out)
_NO_TEXTS = (
    (b"PK\x03\x04", "a workbook", _WORKBOOK),  # .xlsx, .ods and .numbers are ZIP files
    (b"\xd0\xcf\x11\xe0", "a workbook", _WORKBOOK),  # .xls is a compound file
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (b"(\xb5/\xfd", "a Zstandard archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"PAR1", "a Parquet file", "Save it as CSV in UTF-8. If it is a manifest, it needs no import."),
    (b"ARROW1", "an Arrow file", "Save it as CSV in UTF-8."),
    (b"SQLite format 3", "a database", "Export the table as CSV in UTF-8."),
    (b"%PDF", "a PDF document", "Name the table itself, as CSV in UTF-8."),
    (b"\x89PNG", "an image", _IMAGE),
    (b"\xff\xd8\xff", "an image", _IMAGE),
)
_END_MARK = "\x1a"
# Excel's own way to state the separator. Another program may have quoted the line, or widened it to a row.
_SEPARATOR_LINE = re.compile(
    r"""(?P<quote>"?)sep=(?P<separator>[^\r\n])(?P=quote)[,;|\t ]*(\r\n|\r|\n)""", re.IGNORECASE
)
_SHOWN = 1000  # rows named in one error; the rest is counted
_SHOWN_COLUMNS = 50
_TRIED_ROWS = 200  # by which the separator is chosen
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class SourceTable:
    """A source's table.

    Args:
        path: The file.
        columns: Names of the header, without outer blanks; empty where it gives a column none.
        rows: The cells of each row, as many as there are columns. Blank rows are not among them.
        numbers: The number of each row as a spreadsheet counts: blank rows count, and a header on top is row 1.
        notes: What had to be decided to read the file.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, place: int) -> str:
        """Return the name of the row at a place (from 0) for a message: ``labels.csv, row 2``."""
        return f"{self.path.name}, row {self.numbers[place]}"

    def cells(self, name: str, thing: str) -> list[str]:
        """Return the cells of one column, verbatim. Case and outer blanks of the name don't matter.

        Args:
            name: The column.
            thing: What an error calls it.

        Raises:
            UsageError: The table has no such column, or two of that name.
        """
        places = [place for place, column in enumerate(self.columns) if column == name] or [
            place for place, column in enumerate(self.columns) if column.casefold() == name.strip().casefold()
        ]
        if len(places) > 1:
            raise UsageError(thing, f"{self.path.name} has {len(places)} columns of that name.", "Rename all but one.")
        if not places:
            raise UsageError(
                thing,
                f"{self.path.name} has no such column.{suggestion(name, self.columns)}",
                " ".join((f"Its columns: {_names(self.columns)}.", *(f"{note}." for note in self.notes))),
            )
        return [row[places[0]] for row in self.rows]


def read_table(path: Path, encoding: str | None = None) -> SourceTable:
    """Read a CSV file with any of the usual separators and encodings.

    Args:
        path: The file; one whose name ends in ``.gz`` is unpacked, as PhysioNet and BIMCV publish their tables.
        encoding: Its encoding; None finds it: a byte order mark, else UTF-16 by its zero bytes, else UTF-8, else
            Windows' code page cp1252, which a note then says.

    Raises:
        UsageError: The encoding is unknown.
        ManifestError: The file is no table of text, or rows have more cells than the header.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ManifestError(str(path), f"cannot be read: {error.strerror}.", "Name a CSV file.") from error
    if path.suffix.lower() == ".gz" and data.startswith(b"\x1f\x8b"):
        data = _unpack(data, path)
    text, notes = _decode(data, path, encoding)
    separator, records = _split(text, path)
    return _check_shape(path, records, separator, notes)


def read_optional_table(path: Path) -> SourceTable | None:
    """Read a CSV file that need not be there; None where nothing has its name.

    Raises:
        ManifestError: A folder has its name, or a link to what is not there, or it cannot be read: see `read_table`.
    """
    if is_broken_link(path):
        raise ManifestError(str(path), f"is {BROKEN_LINK}.", "Restore the file, or remove the link.")
    if path.is_dir():
        raise ManifestError(str(path), "is a folder, not a CSV file.", "Put the file there, or rename the folder.")
    return read_table(path) if path.exists() else None


def _unpack(data: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ManifestError(str(path), "is a damaged gzip archive.", "Download it again.") from error


def _names(columns: Sequence[str]) -> str:
    """Return names of columns for a message, as they stand unless letters of them cannot be printed."""
    names = [shorten(name) if name.isprintable() else quote(name) for name in columns if name]
    return ", ".join(names[:_SHOWN_COLUMNS]) + (
        f" and {len(names) - _SHOWN_COLUMNS:,} more" if len(names) > _SHOWN_COLUMNS else ""
    )


def _decode(data: bytes, path: Path, encoding: str | None) -> tuple[str, list[str]]:
    """Return the text of a file, and a note where its encoding had to be assumed."""
    for start, kind, way_out in _NO_TEXTS:
        if data.startswith(start):
            raise ManifestError(str(path), f"is {kind}, not a CSV file.", way_out)
    if encoding is not None:
        try:
            return _refuse_nul(_strip_end_mark(data.decode(encoding)), path), []
        except LookupError as error:
            raise UsageError(argument("encoding", encoding), "is unknown.", "Say utf-8, cp1251 or gb18030.") from error
        except UnicodeError as error:
            raise ManifestError(str(path), f"is not text in {encoding}.", "Name another `encoding`.") from error
    name = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if name is None and b"\0" in data:
        name = _find_utf16(data)
    for candidate in (name,) if name is not None else ("utf-8", _CODE_PAGE):
        try:
            text = data.decode(candidate)
        except UnicodeError:
            continue
        assumed = candidate == _CODE_PAGE
        note = (
            f"{path.name} is not UTF-8 and is read as {_CODE_PAGE} (Windows, western Europe); if letters look wrong, "
            "name the encoding, for example `encoding='cp1251'`"
        )
        return _refuse_nul(_strip_end_mark(text), path), [note] if assumed else []
    raise ManifestError(
        str(path),
        f"is not text in {name or f'UTF-8 or {_CODE_PAGE}'}.",
        "Name its `encoding`, or save it as CSV in UTF-8.",
    )


def _find_utf16(data: bytes) -> str:
    """Return which UTF-16 a file without a byte order mark is, by its bytes; UTF-8 if it is none.

    Text in UTF-16 has a header with a separator in one of the two orders. Binary data and text with a stray zero byte
    have zeros too, and no such header in either.
    """
    for name in ("utf-16-le", "utf-16-be"):
        header = re.split("[\r\n]", data[: 2**16].decode(name, "ignore").lstrip("\r\n"), maxsplit=1)[0]
        if any(separator in header for separator in SEPARATORS) and "\0" not in header:
            return name
    return "utf-8"


def _strip_end_mark(text: str) -> str:
    """Return the text without DOS's end marks (0x1A) and the filling after them; some old programs write them."""
    content = text.rstrip(f"{_END_MARK}\0\r\n\t ")
    return text[: text.index(_END_MARK, len(content))] if _END_MARK in text[len(content) :] else text


def _refuse_nul(text: str, path: Path) -> str:
    """Return the text, which holds no NUL character: binary data, or a table damaged on a disk, does."""
    if "\0" in text:
        row = 1 + text.count("\n", 0, text.index("\0"))
        raise ManifestError(
            f"{path.name}, line {row}",
            "holds a NUL character, which no table of text does.",
            "Save the table again as CSV in UTF-8, or name its `encoding`.",
        )
    return text


def _split(text: str, path: Path) -> tuple[str, list[list[str]]]:
    """Return the separator and all records; a blank line is an empty record."""
    separators: tuple[str, ...] = SEPARATORS
    if stated := _SEPARATOR_LINE.match(text):
        text, separators = text[stated.end() :], (stated["separator"],)
    separator = max(separators, key=lambda candidate: _fitness(text, candidate))
    try:
        # strict: a quotation mark without its partner would else swallow all rows after it.
        return separator, list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        number = _row_of_error(text, separator)
        raise ManifestError(
            f"{path.name}, row {number}",
            f"is not a row of a CSV file: {error}.",
            "A cell in quotation marks needs both, and a mark inside it is written twice. Save the table again.",
        ) from error


def _fitness(text: str, separator: str) -> tuple[float, int]:
    """Return how well a separator fits: the share of rows as wide as the header (two cells or more), and its width."""
    records: list[list[str]] = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            records += [record] if any(record) else []
            if len(records) > _TRIED_ROWS:
                break
    except csv.Error:
        return 0.0, 0
    if not records or len(records[0]) < 2:
        return 0.0, 0
    width = len(records[0])
    return sum(len(record) == width for record in records) / len(records), width


def _row_of_error(text: str, separator: str) -> int:
    """Return the number of the first row that csv cannot read, from 1."""
    number = 1
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            number += 1
    except csv.Error:
        pass
    return number


def _check_shape(path: Path, records: Sequence[list[str]], separator: str, notes: list[str]) -> SourceTable:
    """Return the table of all records, each as wide as the header."""
    filled = [(number, record) for number, record in enumerate(records, 1) if any(cell.strip() for cell in record)]
    if not filled:
        raise ManifestError(str(path), "has no rows.", "Name a CSV file with a header and one row for each image.")
    columns = [cell.strip() for cell in filled[0][1]]
    width = len(columns)
    long = [(number, record) for number, record in filled[1:] if any(cell.strip() for cell in record[width:])]
    if long:
        lines = "".join(f"\n  {path.name}, row {number}: {len(record)} cells" for number, record in long[:_SHOWN])
        lines += f"\n  and {len(long) - _SHOWN:,} more" if len(long) > _SHOWN else ""
        verb = "rows have" if len(long) > 1 else "row has"
        raise ManifestError(
            str(path),
            f"{len(long):,} {verb} more cells than the header, which has {width}, "
            f"separated by {_SEPARATOR_NAMES.get(separator, repr(separator))}:{lines}\n",
            "Write a cell that holds the separator in quotation marks, or give each column a name.",
        )
    short = [number for number, record in filled[1:] if len(record) < width]
    if short:
        which = f"row {short[0]}" if len(short) == 1 else f"{len(short):,} rows, the first of them row {short[0]},"
        verb = "has" if len(short) == 1 else "have"
        notes = [*notes, f"{path.name}: {which} {verb} fewer cells than the header; those at the end count as blank"]
    rows = tuple(tuple((record + [""] * width)[:width]) for _, record in filled[1:])
    return SourceTable(path, tuple(columns), rows, tuple(number for number, _ in filled[1:]), tuple(notes))
