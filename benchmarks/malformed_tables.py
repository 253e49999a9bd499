"""Mutations of tables (CSV, Parquet, workbooks) and annotations for `malformed_files.py`."""

from __future__ import annotations

import codecs
import json
import random
import unicodedata
import zipfile
from io import BytesIO
from typing import Any

_TERMS = (
    "", " ", "Normal ", "PNEUMONIA", "412", "-5", "1e999", "nan", "\x00", "\x1b[31m", "=1+1", '"', '""', "'", "a,b",
    "a;b",
    "../../etc/passwd", "/etc/passwd", "C:\\Users\\a\\x.png", "\\\\server\\share\\x.png", "file:///home/a/x.png",
    "https://example.org/x.png", "Å", "A\u030a", "\u202e", "漢字", "🫁", "x" * 300, "\r", "\n",
)  # fmt: skip


def make_zip(members: dict[str, bytes]) -> bytes:
    """Return a ZIP archive."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def change_cells(data: bytes, draw: random.Random) -> bytes:
    """Change cells, rows and columns of a CSV file."""
    rows = [line.split(",") for line in data.decode("utf-8", "replace").splitlines()]
    for _ in range(draw.choice((1, 2, 5))):
        row = draw.choice(rows)
        column, action = draw.randrange(len(row) or 1), draw.randrange(7)
        if action <= 2 and row:
            row[column] = draw.choice((*_TERMS, "x" * draw.choice((1000, 1_000_000)) if draw.random() < 0.1 else "y"))
        elif action == 3:
            row.insert(column, draw.choice(_TERMS))
        elif action == 4 and row:
            del row[column]
        elif action == 5:
            rows.insert(draw.randrange(len(rows) + 1), [] if draw.random() < 0.5 else list(row))
        else:
            rows[0], rows[-1] = rows[-1], rows[0]
    return "\n".join(map(",".join, rows)).encode("utf-8", "surrogatepass")


def change_encoding(data: bytes, draw: random.Random) -> bytes:
    """Write a CSV file as another program would: separator, line ends, encoding, byte order mark, Unicode form."""
    text = data.decode("utf-8", "replace").replace(",", draw.choice((",", ";", "\t", "|", "::")))
    text = text.replace("\n", draw.choice(("\n", "\r\n", "\r", "\n\n")))
    text = unicodedata.normalize(draw.choice(("NFC", "NFD")), text)
    text = draw.choice(("", "sep=;\n", "# a comment\n")) + text
    mark, encoding = draw.choice(
        (
            (b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (b"", "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"), (b"", "utf-16-be"), (codecs.BOM_UTF32_LE, "utf-32-le"), (b"", "utf-7"),
            (b"", "cp1252"), (b"", "gb18030"), (codecs.BOM_UTF8, "cp1252"), (codecs.BOM_UTF16_LE, "utf-8"),
        )
    )  # fmt: skip
    return mark + text.encode(encoding, "replace")


def change_workbook(data: bytes, draw: random.Random) -> bytes:
    """Return a workbook that holds the table's text, or half of one."""
    book = make_zip({"[Content_Types].xml": b"<Types/>", "xl/worksheets/sheet1.xml": data[:5000]})
    return draw.choice((book, book[: len(book) // 2], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)))


def change_parquet(data: bytes, draw: random.Random) -> bytes:
    """Change columns, values or the metadata of a manifest, in a sound Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.ParquetFile(BytesIO(data)).read()
    metadata = dict(table.schema.metadata or {})
    place = draw.randrange(table.num_columns)
    name, rows = table.column_names[place], table.num_rows
    values = draw.choice(([None] * rows, ["x" * 300] * rows, [1.5] * rows, [b"\xff"] * rows, [[1]] * rows))
    action = draw.randrange(6)
    if action == 0:
        table = table.drop_columns([name])
    elif action == 1:
        table = table.set_column(place, name, pa.array(values))
    elif action == 2:
        table = table.append_column(draw.choice((name, "extra", "")), pa.array(values))
    elif action == 3:
        table = table.slice(0, draw.choice((0, 1)))
    elif action == 4:
        table = pa.concat_tables([table, table])
    else:
        about = json.loads(metadata[b"pneumoscope"])
        about[draw.choice((*about, "roots", "design"))] = draw.choice((None, 5, [], "x", {"a": None}, [[]], {"": {}}))
        metadata[b"pneumoscope"] = draw.choice((json.dumps(about).encode(), b"{", b"\xff", b"[]", b"null"))
    buffer = BytesIO()
    parquet.write_table(table.replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


def change_json(data: bytes, draw: random.Random) -> bytes:
    """Replace or remove values anywhere in a JSON file."""
    content = json.loads(data)
    for _ in range(draw.choice((1, 2, 5))):
        inner: Any = content
        while isinstance(inner, dict | list) and inner:
            key: Any = draw.choice(list(inner)) if isinstance(inner, dict) else draw.randrange(len(inner))
            if draw.random() < 0.3 or not isinstance(inner[key], dict | list):
                value = draw.choice((None, -1, 0, 1e400, 10**30, "", "x" * 300, [], {}, True, "\x00", "../x", [[[]]]))
                inner[key] = value
                if draw.random() < 0.3:
                    del inner[key]
                break
            inner = inner[key]
    return json.dumps(content).encode() if draw.random() < 0.97 else b"[" * 100_000
