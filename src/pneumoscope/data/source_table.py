"""Read a source's own table: every cell as text, columns and values by name, errors that name row and value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.data.source import files_under

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = frozenset({"", "?", "nan", "NaN", "NA", "N/A", "Unknown", "unknown"})
"""Cells that mean an unknown value."""

VIEW_TERMS: Mapping[str, str] = MappingProxyType(
    {
        "PA": "PA",
        "AP": "AP",
        "AP Erect": "AP",
        "AP erect": "AP",
        "AP semi erect": "AP",
        "AP Supine": "AP Supine",
        "AP_Supine": "AP Supine",
        "L": "L",
        "LL": "L",
        "LATERAL": "L",
        "Lateral": "L",
    }
)
_VIEWS_BY_TAG: Mapping[str, str] = {**{term.upper(): view for term, view in VIEW_TERMS.items()}, "RL": "L"}
SEX_TERMS: Mapping[str, str] = MappingProxyType(
    {"M": "M", "F": "F", "Male": "M", "Female": "F", "male": "M", "female": "F", "m": "M", "f": "F"}
)
_YEARS = {"Y": 1.0, "M": 12.0, "W": 52.1775, "D": 365.25}


def read_table(path: Path) -> pd.DataFrame:
    """Return a CSV file, every cell as its verbatim text; row 0 is the line after the header.

    Raises:
        ManifestError: It is not a CSV file in UTF-8.
    """
    import pandas as pd

    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ManifestError(str(path), f"is not a readable CSV file: {error}.", "Save it as CSV in UTF-8.") from error


def require_column(table: pd.DataFrame, name: str, thing: str, path: Path) -> str:
    """Return ``name`` if the table has such a column; an error calls it ``thing``.

    Raises:
        UsageError: The table has no such column.
    """
    if name in table.columns:
        return name
    raise UsageError(
        thing,
        f"{path.name} has no such column.{suggestion(name, table.columns)}",
        f"Its columns: {', '.join(table.columns)}.",
    )


def cell_text(cell: str) -> str | None:
    """Return a cell's text, or None if the value is unknown."""
    return None if cell.strip() in UNKNOWN else cell.strip()


def view_of_tag(term: object) -> str | None:
    """Return the view that DICOM's ViewPosition means, in letters of any case; None if it is empty or unknown.

    These are the defined terms of PS3.3 C.8.1.2 and C.8.11.5, and those of ``VIEW_TERMS``.
    """
    return _VIEWS_BY_TAG.get(str(term or "").strip().upper())


def map_term(cell: str, terms: Mapping[str, str], where: str) -> str | None:
    """Return the value that an explicit table gives a cell; None if the cell is unknown.

    Raises:
        ManifestError: The table does not have the cell's text.
    """
    value = cell_text(cell)
    if value is None or value in terms:
        return None if value is None else terms[value]
    raise ManifestError(
        where, f"has {value!r}, which is not in the table.{suggestion(value, terms)}", f"It knows: {', '.join(terms)}."
    )


def parse_age(cell: str, where: str) -> float | None:
    """Return an age in years from ``65``, ``65.5`` or DICOM's ``065Y``, ``018M``, ``003W``, ``010D`` (PS3.5 6.2, AS).

    Raises:
        ManifestError: The cell is something else.
    """
    value = cell_text(cell)
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([YMWD]?)", value)
    if match is None:
        raise ManifestError(where, f"has the age {value!r}; it must be years or DICOM's nnnY, nnnM, nnnW, nnnD.")
    return float(match[1]) / _YEARS[match[2] or "Y"]


def index_files(folder: Path) -> dict[str, list[Path]]:
    """Return every file under a folder by its relative path and, for tables that only give names, by its name."""
    index: dict[str, list[Path]] = {}
    for path in files_under(folder):
        for key in {path.relative_to(folder).as_posix(), path.name}:
            index.setdefault(key, []).append(path)
    return index


def find_image(index: Mapping[str, list[Path]], name: str, where: str) -> Path | None:
    """Return the one file of that name, None if there is none.

    Raises:
        ManifestError: Several files have the name.
    """
    files = index.get(name.replace("\\", "/"), [])
    if len(files) > 1:
        raise ManifestError(
            where,
            f"{name!r} names {len(files)} files, among them {files[0]} and {files[1]}.",
            "Give the relative path.",
        )
    return files[0] if files else None
