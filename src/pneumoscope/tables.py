"""Rows of predictions into a Parquet, CSV or JSON-lines file, in constant memory, whole or not at all.

PyArrow writes Parquet directly: pandas would double the start-up time of `predict`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pneumoscope import __version__
from pneumoscope.errors import UsageError
from pneumoscope.files import atomic_path
from pneumoscope.infer import Model, columns
from pneumoscope.labels import DISCLAIMER
from pneumoscope.registry import suggestion

FORMATS = (".parquet", ".csv", ".jsonl")

ROW_GROUP = 8192
"""Rows that are held at once while Parquet is written."""


def check_format(output: Path) -> None:
    """Raise `UsageError` unless ``output`` names a file in one of `FORMATS`."""
    if output.suffix.lower() not in FORMATS:
        raise UsageError(
            str(output),
            f"ends with {output.suffix or 'nothing'!r}, which is no table format.{suggestion(output.suffix, FORMATS)}",
            f"End it with one of: {', '.join(FORMATS)}.",
        )
    if output.is_dir():
        raise UsageError(str(output), "is a folder.", "Name a file.")


def write_table(rows: Iterable[dict[str, Any]], output: Path, model: Model) -> None:
    """Write rows (as `Prediction.row` gives them) to ``output``, in the format of its ending."""
    check_format(output)
    writers = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
    with atomic_path(output) as temporary:
        writers[output.suffix.lower()](iter(rows), temporary, model)


def _write_jsonl(rows: Iterator[dict[str, Any]], path: Path, model: Model) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write_csv(rows: Iterator[dict[str, Any]], path: Path, model: Model) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns(model.labels)))
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "refused": str(row["refused"]).lower()})


def _write_parquet(rows: Iterator[dict[str, Any]], path: Path, model: Model) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types = {"string": pa.string(), "double": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema(
        [(name, types[kind]) for name, kind in columns(model.labels).items()],
        metadata={
            "pneumoscope": __version__,
            "model": model.identity,
            "model_name": f"{model.card.name} {model.card.version}",
            "disclaimer": DISCLAIMER,
        },
    )
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))
