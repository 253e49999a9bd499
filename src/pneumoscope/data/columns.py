"""The columns of a manifest, and their contract: which values a cell may hold, and which rows go together.

pandera checks single values. A broken table is refused with the names of its rows, before it becomes a wrong figure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import PARTS, VIEWS, LabelSet
from pneumoscope.core.registry import suggestion
from pneumoscope.data.boxes import parse_boxes
from pneumoscope.data.cells import MAX_AGE
from pneumoscope.data.findings import find_contradiction, parse_findings
from pneumoscope.data.structures import LUNG_DEFINITIONS

if TYPE_CHECKING:
    import pandera.pandas as pa

_SHOWN = 5  # rows named in one error; the rest is counted

TEXT = pd.StringDtype(na_value=np.nan)
"""Text columns: missing is NaN, so that comparisons give plain booleans."""

COLUMNS: Mapping[str, str] = {
    "image": "path of the image, relative to its source's root, with forward slashes",
    "source": "name of the data set it comes from",
    "label": "identifier of a label: of the built-in vocabulary, or of one that the manifest's own facts hold",
    "findings": 'JSON, {"label": true or false}: findings that are stated present or absent, any other is unknown; null'
    " where an image has its one label alone",
    "raw_label": "the source's own term, verbatim",
    "patient_id": "the source's own patient number; null if unknown",
    "study_id": "the source's own study number; null if unknown",
    "group": "images that must stay on one side of a split: patient, else near-duplicate cluster, else image",
    "view": f"one of {', '.join(VIEWS)}; null if unknown",
    "sex": "M or F; null if unknown",
    "age": "years; null if unknown",
    "manufacturer": "maker of the X-ray device, as the file or the table says it; null if unknown",
    "lung_mask": "path of the lung mask, relative like image or, as NAME:PATH, to the root NAME; null if none",
    "ignore_mask": "path of the mask of pixels to ignore (pacemakers, markings), like lung_mask; null if none",
    "heart_mask": "path of the mask of the heart's shadow, like lung_mask; null if none",
    "lung_definition": f"what lung_mask shows, one of {', '.join(LUNG_DEFINITIONS)}; null if nobody states it",
    "boxes": "JSON, [[left, top, width, height], ...]: boxes that readers drew around findings, in shares of width and"
    " height; [] where they looked and drew none; null if nobody looked",
    "split": f"one of {', '.join(PARTS)}; null until split, or left out",
    "width": "columns of the stored image, in pixels",
    "height": "rows of the stored image, in pixels",
    "bits": "bits in use per sample: those stored, or the depth declared at import",
    "sha256": "SHA-256 of the file's bytes, hexadecimal: the identity of the image",
    "phash": "64-bit perceptual hash, 16 hexadecimal digits: near for images that look alike",
    "license": "licence of the image, in the source's words",
    "label_provenance": "how the source made the label",
}
"""Name -> meaning, in the order of the file."""

_NUMBERS = {"age": "float64", "width": "int64", "height": "int64", "bits": "int64"}
_ADDED_LATER = ("heart_mask", "lung_definition", "boxes", "findings", "manufacturer")  # earlier manifests: null
_NEVER_NULL = {"image", "source", "label", "raw_label", "group", "width", "height", "bits", "sha256", "phash"}

_UPWARDS = r"\\|(^|[/:])\.\.(/|$)"
_OUTSIDE = rf"^/|^[A-Za-z]:|{_UPWARDS}"
"""A regular expression: found in each path that does not stay inside its root on every system."""

_OUTSIDE_ROOTS = rf"^/|^[^/]*:/|{_UPWARDS}"  # NAME:PATH may name the root; NAME:/x is no path in NAME


def is_inside_root(path: str) -> bool:
    """Return whether a path is relative, and stays inside its root on every system."""
    return bool(path) and not re.search(_OUTSIDE, path)


def check_table(table: pd.DataFrame, labels: LabelSet | None = None) -> pd.DataFrame:
    """Return a table with its columns in order and of the right type, its contract checked.

    Args:
        table: Any columns of `COLUMNS`.
        labels: The vocabulary of the column ``label``; None: the built-in one.

    Raises:
        ManifestError: A column or value breaks the contract; the first rows are named.
    """
    result = _cast_columns(table)
    _check_values(result, labels or LabelSet.builtin())
    _check_rows(result, labels or LabelSet.builtin())
    return result


def _cast_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Order and cast the columns; a missing or extra one is an error."""
    for name in table.columns:
        if name not in COLUMNS:
            hint = suggestion(str(name), COLUMNS)
            raise ManifestError(
                f"column {quote(name)}", f"is not in the contract.{hint}", f"Columns: {', '.join(COLUMNS)}."
            )
    table = table.reindex(columns=[*table.columns, *(name for name in _ADDED_LATER if name not in table.columns)])
    for name in COLUMNS:
        if name not in table.columns:
            raise ManifestError(f"column {quote(name)}", "is missing.", "Import the data again with this version.")
    result = {}
    for name in COLUMNS:
        column, kind = table[name].reset_index(drop=True), _NUMBERS.get(name, TEXT)
        try:
            # A million texts in Python take seconds: a column of the right type stays as it is.
            result[name] = column if column.dtype == kind else pd.Series(column.to_numpy(), dtype=kind)
        except (TypeError, ValueError) as error:
            bad = column[~column.map(_is_number)].head(_SHOWN)
            lines = [f"row {row}, {name} = {quote(value)}: must be a number" for row, value in bad.items()]
            raise ManifestError("manifest", _many(lines, len(lines)), "Correct the rows.") from error
    return pd.DataFrame(result)


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _schema(labels: LabelSet) -> pa.DataFrameSchema:
    """The contract of single values; rules over several rows are in ``_check_rows``."""
    import pandera.pandas as pa  # here: it takes a second to import

    rules: dict[str, list[pa.Check]] = {
        "image": [_relative()],
        "lung_mask": [_relative(rooted=True)],
        "ignore_mask": [_relative(rooted=True)],
        "heart_mask": [_relative(rooted=True)],
        "lung_definition": [_among(LUNG_DEFINITIONS)],
        "boxes": [_boxes()],
        "source": [_matching(r"^[a-z0-9][a-z0-9._-]*$", "lower-case letters, digits, '.', '_', '-'")],
        "label": [_among(labels)],
        "findings": [_findings(labels)],
        "view": [_among(VIEWS)],
        "sex": [_among(("M", "F"))],
        "split": [_among(PARTS)],
        "age": [pa.Check.in_range(0, MAX_AGE, error=f"years, 0 to {MAX_AGE}")],
        "width": [pa.Check.gt(0, error="at least 1")],
        "height": [pa.Check.gt(0, error="at least 1")],
        "bits": [pa.Check.in_range(1, 64, error="1 to 64")],
        "sha256": [_matching(r"^[0-9a-f]{64}$", "64 lower-case hexadecimal digits")],
        "phash": [_matching(r"^[0-9a-f]{16}$", "16 lower-case hexadecimal digits")],
    }
    columns = {name: pa.Column(checks=rules.get(name), nullable=name not in _NEVER_NULL) for name in COLUMNS}
    return pa.DataFrameSchema(columns, strict=True)


def _among(allowed: Iterable[str]) -> pa.Check:
    import pandera.pandas as pa

    names = list(allowed)
    return pa.Check.isin(names, error=f"one of {', '.join(names)}")


def _matching(pattern: str, error: str, unlike: str = "") -> pa.Check:
    """Return a check of texts by regular expressions of RE2, which reads a million of them in a fifth of a second.

    Args:
        pattern: A text must match it somewhere.
        error: What a text must be, in words.
        unlike: A text must match this nowhere.
    """
    import pandera.pandas as pa
    import pyarrow
    import pyarrow.compute

    def match(texts: pd.Series) -> pd.Series:
        array = pyarrow.array(texts, from_pandas=True)
        good = pyarrow.compute.match_substring_regex(array, pattern)
        if unlike:
            good = pyarrow.compute.and_not(good, pyarrow.compute.match_substring_regex(array, unlike))
        return pd.Series(np.asarray(good.fill_null(False)), index=texts.index)

    return pa.Check(match, error=error)


def _of_each_text(is_good: Callable[[str], bool], error: str) -> pa.Check:
    """Return a check that a function makes, once for each text that differs from the others: few do."""
    import pandera.pandas as pa

    def check(texts: pd.Series) -> pd.Series:
        codes, different = pd.factorize(texts)
        return pd.Series(np.array([is_good(text) for text in different], dtype=np.bool_)[codes], index=texts.index)

    return pa.Check(check, error=error)


def _boxes() -> pa.Check:
    return _of_each_text(_are_boxes, "JSON, [[left, top, width, height], ...] in shares of the image")


def _findings(labels: LabelSet) -> pa.Check:
    return _of_each_text(
        lambda text: _is_readable(text, labels), 'JSON, {"label": true or false}, of labels other than "none of these"'
    )


def _is_readable(text: str, labels: LabelSet) -> bool:
    try:
        parse_findings(text, "findings", labels)
    except ManifestError:
        return False
    return True


def _are_boxes(text: str) -> bool:
    try:
        parse_boxes(text, "boxes")
    except ManifestError:
        return False
    return True


def _relative(rooted: bool = False) -> pa.Check:
    """A path that stays inside its root on every system; ``rooted`` ones may name the root, ``NAME:PATH``."""
    return _matching(
        "(?s)^.", "a relative path with forward slashes, without '..'", _OUTSIDE_ROOTS if rooted else _OUTSIDE
    )


def _check_values(table: pd.DataFrame, labels: LabelSet) -> None:
    import pandera.pandas as pa

    try:
        _schema(labels).validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        lines = [
            f"row {case['index']}, {case['column']} = {quote(case['failure_case'])}: must be "
            + ("present" if case["check"] == "not_nullable" else case["check"])
            for case in cases.head(_SHOWN).to_dict("records")
        ]
        raise ManifestError("manifest", _many(lines, len(cases)), "Correct the rows.") from error


def _check_rows(table: pd.DataFrame, labels: LabelSet) -> None:
    """Rules over several cells: an image occurs once per source, a group lies in one part, findings fit the label."""
    if table.empty:
        raise ManifestError("manifest", "has no rows.", "Import a folder that has images.")
    twice = table[table.duplicated(["source", "image"], keep=False)]
    if len(twice):
        groups = twice.groupby(["source", "image"]).groups
        lines = [f"rows {_rows(rows)}, image {_join(key)}" for key, rows in groups.items()]
        raise ManifestError("manifest", _many(lines, len(lines)), "An image may occur once per source.")
    stated = table[["label", "findings"]].dropna()
    wrong = {
        (label, text): reason
        for label, text in set(zip(stated["label"], stated["findings"], strict=True))
        if (reason := find_contradiction(label, parse_findings(text, "findings", labels), labels)) is not None
    }
    if wrong:
        pairs = zip(stated.index, stated["label"], stated["findings"], strict=True)
        lines = [
            f"row {row}, label {label}, findings {text}: {wrong[label, text]}"
            for row, label, text in pairs
            if (label, text) in wrong
        ]
        raise ManifestError("manifest", _many(lines, len(lines)), "An image's label and its findings must agree.")
    placed = table[["group", "split"]].dropna()
    divided = placed.drop_duplicates()["group"]
    torn = placed[placed["group"].isin(divided[divided.duplicated()])]
    if len(torn):
        parts_of = {name: " and ".join(sorted(set(rows["split"].dropna()))) for name, rows in torn.groupby("group")}
        lines = [
            f"group {quote(name)} (rows {_rows(rows.index)}) lies in {parts_of[name]}"
            for name, rows in torn.groupby("group")
        ]
        raise ManifestError(
            "manifest", _many(lines, len(lines)), "A group must be in one part: divide it with `pneumoscope.split`."
        )


def _join(key: Any) -> str:
    return " / ".join(quote(name) for name in key)


def _rows(index: Iterable[Any]) -> str:
    return ", ".join(str(row) for row in list(index)[:_SHOWN])


def _many(lines: list[str], count: int) -> str:
    more = f"; and {count - _SHOWN} more" if count > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more + "."
