"""The values of a table's cells: ages, sexes and views by explicit terms; one error names all that break a rule.

Spreadsheets and archives write one value in many ways (``58,5``, ``058Y``, ``female``, ``AP erect``), and public tables
hold impossible ones (an age of 412 in NIH ChestX-ray14). A scan of a table reads all its cells before any image is
read, and then names every bad one at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.registry import suggestion

UNKNOWN = frozenset({"", "?", "-", "nan", "na", "n/a", "n.a.", "#n/a", "#nv", "null", "none", "unknown"})
"""Cells that mean an unknown value, in lower case."""

MAX_AGE = 130
"""Years; no older patient is known."""

VIEW_TERMS: Mapping[str, str] = MappingProxyType(
    {
        "PA": "PA",
        "AP": "AP",
        "AP Erect": "AP",
        "AP semi erect": "AP",
        "AP Supine": "AP Supine",
        "AP_Supine": "AP Supine",
        "L": "L",
        "LL": "L",
        "LAT": "L",
        "Lateral": "L",
    }
)
SEX_TERMS: Mapping[str, str] = MappingProxyType(
    {
        "M": "M",
        "F": "F",
        "Male": "M",
        "Female": "F",
        "man": "M",
        "woman": "F",
        "W": "F",
        "männlich": "M",
        "weiblich": "F",
        "masculino": "M",
        "femenino": "F",
        "feminino": "F",
        "homme": "M",
        "femme": "F",
        "муж": "M",
        "жен": "F",
        "мужской": "M",
        "женский": "F",
        "男": "M",
        "女": "F",
    }
)
_YEARS = {"Y": 1.0, "M": 12.0, "W": 52.1775, "D": 365.25}
_SHOWN = 1000  # cells named in one error; the rest is counted

RULES: Mapping[str, str] = MappingProxyType(
    {
        "age": f"an age is 0 to {MAX_AGE} years, or DICOM's nnnY, nnnM, nnnW, nnnD",
        "sex": f"a sex is one of {', '.join(SEX_TERMS)}",
        "view": f"a view is one of {', '.join(VIEW_TERMS)}",
    }
)
"""Column -> its rule, for an error."""


def cell_text(cell: str) -> str | None:
    """Return a cell's text, or None if the value is unknown."""
    return None if cell.strip().lower() in UNKNOWN else cell.strip()


def find_term(value: str, terms: Mapping[str, str]) -> str | None:
    """Return the value that an explicit table gives a term, without case and outer blanks; None if it has none."""
    return {term.casefold(): meaning for term, meaning in terms.items()}.get(value.strip().casefold())


def view_of_tag(term: object) -> str | None:
    """Return the view that DICOM's ViewPosition means, in letters of any case; None if it is empty or unknown.

    These are the defined terms of PS3.3 C.8.1.2 and C.8.11.5, and those of ``VIEW_TERMS``.
    """
    text = str(term or "")
    return "L" if text.strip().upper() == "RL" else find_term(text, VIEW_TERMS)


def parse_age(cell: str) -> float | None:
    """Return an age in years from ``65``, ``65.5``, ``65,5`` or DICOM's ``065Y``, ``018M``, ``003W``, ``010D``.

    DICOM's form is PS3.5 6.2, AS. A cell that means an unknown value gives None.

    Raises:
        ValueError: The cell is something else, or not from 0 to `MAX_AGE` years.
    """
    value = cell_text(cell)
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*([YMWD]?)", value, re.IGNORECASE)
    age = None if match is None else float(match[1].replace(",", ".")) / _YEARS[match[2].upper() or "Y"]
    if age is None or age > MAX_AGE:
        raise ValueError(f"the age {quote(value)}")
    return age


def clean_manufacturer(cell: str | None) -> str | None:
    """Return the maker of a device in at most 64 characters (PS3.5 6.2, LO) without double blanks; None if unknown."""
    value = cell_text(" ".join("".join(c if c.isprintable() else " " for c in cell or "").split()))
    return None if value is None else value[:64]


class CellReader:
    """Reads the cells of a table, and remembers those that break a rule.

    Args:
        lenient_columns: Columns (``age``, ``sex``, ``view``) whose bad cells count as unknown, without an error.
    """

    def __init__(self, lenient_columns: frozenset[str] = frozenset()) -> None:
        self._lenient_columns = lenient_columns
        self._bad: dict[str, list[str]] = {}

    def age(self, cell: str, where: str) -> float | None:
        """Return an age in years; see `parse_age`."""
        try:
            return parse_age(cell)
        except ValueError:
            self.add_bad("age", cell.strip(), where)
            return None

    def sex(self, cell: str, where: str) -> str | None:
        """Return ``M`` or ``F``."""
        return self._term("sex", cell, SEX_TERMS, where)

    def view(self, cell: str, where: str) -> str | None:
        """Return a view of the manifest."""
        return self._term("view", cell, VIEW_TERMS, where)

    def _term(self, column: str, cell: str, terms: Mapping[str, str], where: str) -> str | None:
        value = cell_text(cell)
        meaning = None if value is None else find_term(value, terms)
        if value is not None and meaning is None:
            self.add_bad(column, value, where, suggestion(value, terms))
        return meaning

    def add_bad(self, column: str, value: object, where: str, hint: str = "") -> None:
        """Record a cell that breaks its column's rule.

        Args:
            column: ``age``, ``sex`` or ``view``.
            value: Its content.
            where: The file and row.
            hint: A suggestion.
        """
        self._bad.setdefault(column, []).append(f"{where}, {column}: has {quote(value)}.{hint}")

    def finish(self) -> list[str]:
        """Return notes about bad cells that count as unknown.

        Raises:
            ManifestError: There are others; every one is named.
        """
        bad = {column: lines for column, lines in self._bad.items() if column not in self._lenient_columns}
        if bad:
            lines = [line for of_column in bad.values() for line in of_column]
            more = [f"  and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
            listed = "\n".join([*(f"  {line}" for line in lines[:_SHOWN]), *more])
            raise ManifestError(
                f"{len(lines):,} {'cells break' if len(lines) > 1 else 'cell breaks'} a rule",
                f"{'; '.join(RULES[column] for column in bad)}:\n{listed}\n",
                f"Correct them, or go on without these values: {argument('lenient_columns', [*bad])}",
            )
        return [
            f"{len(lines):,} bad values of {column} count as unknown: {_brief(lines)}"
            for column, lines in self._bad.items()
        ]


def _brief(lines: list[str]) -> str:
    return " ".join(lines[:3]) + (f" and {len(lines) - 3:,} more" if len(lines) > 3 else "")
