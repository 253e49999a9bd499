"""Write rows to a Parquet, CSV or JSON-lines file, in constant memory, complete or not at all.

PyArrow writes Parquet without pandas, which would double the start-up time of `predict`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import atomic_path, check_new_file
from pneumoscope.core.registry import suggestion

FORMATS = (".parquet", ".csv", ".jsonl")

ROW_GROUP = 8192
"""Rows in memory at a time while Parquet is written."""


def check_format(output: Path) -> None:
    """Raise `UsageError` unless ``output`` names a file in one of `FORMATS` that can be made there."""
    if output.suffix.lower() not in FORMATS:
        raise UsageError(
            str(output),
            f"ends with {output.suffix or 'nothing'!r}, which is no table format.{suggestion(output.suffix, FORMATS)}",
            f"End it with one of: {', '.join(FORMATS)}.",
        )
    check_new_file(output)


def write_table(
    rows: Iterable[dict[str, Any]], output: Path, columns: Mapping[str, str], metadata: Mapping[str, str]
) -> None:
    """Write rows to ``output``, in the format of its ending.

    Args:
        rows: One dictionary for each row, with values that JSON knows and the columns' names as keys, in their order.
        output: The file; its folder is created.
        columns: Names and types ("string", "double" or "bool"). A column may hold None.
        metadata: Facts about the table, stored in its schema where the format has one (Parquet).
    """
    check_format(output)
    with atomic_path(output) as temporary:
        if output.suffix.lower() == ".parquet":
            _write_parquet(iter(rows), temporary, columns, metadata)
        elif output.suffix.lower() == ".csv":
            _write_csv(rows, temporary, columns)
        else:
            _write_jsonl(rows, temporary)


def _write_jsonl(rows: Iterable[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write_csv(rows: Iterable[dict[str, Any]], path: Path, columns: Mapping[str, str]) -> None:
    flags = [name for name, kind in columns.items() if kind == "bool"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, **{name: str(row[name]).lower() for name in flags}})


def _write_parquet(
    rows: Iterator[dict[str, Any]], path: Path, columns: Mapping[str, str], metadata: Mapping[str, str]
) -> None:
    import pyarrow as pa
    from pyarrow import json as arrow_json
    from pyarrow import parquet

    types = {"string": pa.string(), "double": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()], metadata=dict(metadata))
    typed = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, ROW_GROUP)):
            # JSON is the way here, since PyArrow imports pandas (half a second) to turn a Python list into an array.
            lines = "\n".join(json.dumps(row, allow_nan=False) for row in group).encode()
            table = arrow_json.read_json(pa.BufferReader(lines), parse_options=typed)
            writer.write_table(table.replace_schema_metadata(schema.metadata))
