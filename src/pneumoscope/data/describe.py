"""The content of a manifest: counts by label, source and part, and the known facts about the patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pneumoscope.core.labels import PARTS
from pneumoscope.data.findings import parse_findings
from pneumoscope.data.manifest import NO_PART

if TYPE_CHECKING:
    import pandas as pd

    from pneumoscope.data.manifest import Manifest


def describe(manifest: Manifest) -> dict[str, Any]:
    """Return the facts of a manifest as plain values: numbers of images, where a key does not say groups.

    ``counts`` is a list of rows: source, label, then one number a part, ``no part`` and ``all``.
    """
    table = manifest.table
    part = table["split"].fillna(NO_PART)
    kinds = manifest.kinds.value_counts()
    sizes = table.groupby("group").size()
    in_parts = table.groupby(part)["group"].nunique()
    known = ("patient_id", "view", "sex", "age", "manufacturer", "lung_mask", "ignore_mask", "license")
    return {
        "images": len(table),
        "groups": {str(kind): int(number) for kind, number in kinds.items()},
        "group_kind": manifest.group_kind,
        "largest_group": int(sizes.max()),
        "groups_by_part": {name: int(in_parts[name]) for name in (*PARTS, NO_PART) if name in in_parts.index},
        "counts": manifest.counts(),
        "findings": count_findings(manifest),
        "findings_by_part": count_findings_by_part(manifest) if manifest.parts_present else {},
        "sources": {
            str(source): {
                "root": str(manifest.roots.get(str(source), "unknown")),
                "images": len(rows),
                "groups": int(rows.group.nunique()),
                "width": [int(rows.width.min()), int(rows.width.max())],
                "height": [int(rows.height.min()), int(rows.height.max())],
                "bits": sorted({int(bits) for bits in rows.bits}),
                "known": {name: int(rows[name].notna().sum()) for name in known},
                "age": _ages(rows),
                "sex": _values(rows, "sex"),
                "view": _values(rows, "view"),
                "licenses": _values(rows, "license"),
                "label_provenance": sorted(rows.label_provenance.dropna().unique()),
            }
            for source, rows in table.groupby("source")
        },
        "rows_hash": manifest.rows_hash(),
        "split_hash": manifest.split_hash() if manifest.parts_present else None,
        "notes": list(manifest.notes),
    }


def count_findings(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Return how many images state each finding of the column ``findings`` present or absent.

    Args:
        manifest: Any.

    Returns:
        Label -> "present" and "absent" -> images, in the order of the vocabulary; empty where the column is.
    """
    numbers: dict[str, dict[str, int]] = {}
    for text, images in manifest.table["findings"].value_counts().items():
        for name, present in parse_findings(str(text), "column 'findings'", manifest.labels).items():
            counts = numbers.setdefault(name, {"present": 0, "absent": 0})
            counts["present" if present else "absent"] += int(images)
    return {name: numbers[name] for name in manifest.labels if name in numbers}


def count_findings_by_part(manifest: Manifest) -> dict[str, dict[str, dict[str, int]]]:
    """Return how many images of each part state each finding of the column ``findings`` present or absent.

    Args:
        manifest: Any.

    Returns:
        Part, or ``no part`` -> label -> "present" and "absent" -> images. A part without any is there, and empty.
    """
    part = manifest.table["split"].fillna(NO_PART)
    names = [name for name in (*PARTS, NO_PART) if (part == name).any()]
    return {name: count_findings(manifest.where(part == name)) for name in names}


def _ages(rows: pd.DataFrame) -> list[float] | None:
    """Return least, median and greatest age in years, None if none is known."""
    ages = rows.age.dropna()
    return [float(ages.min()), float(ages.median()), float(ages.max())] if len(ages) else None


def _values(rows: pd.DataFrame, name: str) -> dict[str, int]:
    """Count a column's values, unknown ones included."""
    counts = rows[name].fillna("unknown").value_counts()
    return {str(value): int(number) for value, number in counts.items()}
