"""The patient of an image, as far as its file's name tells, across sets that copied from each other.

A set that was compiled from others often keeps their file names, and with them a patient's number. Only names that no
other program gives count as an identity. ``IM-0001-0001`` is the name of DICOM viewers' exports, so that only pictures
identify the healthy children of Kaggle's set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

_LAST_NIH_PATIENT = 30805  # ChestX-ray14 numbers its patients 1 to 30,805 (Wang 2017)


class _Pattern(NamedTuple):
    regex: re.Pattern[str]
    name: Callable[[re.Match[str]], str | None]


def _nih(match: re.Match[str]) -> str | None:
    number = int(match[1])
    return f"NIH patient {number}" if 1 <= number <= _LAST_NIH_PATIENT else None


_PATTERNS = (
    # Kermany 2018: person12_bacteria_46.jpeg. Bacteria and virus may count apart; see data/sources/kaggle_pneumonia.py.
    _Pattern(re.compile(r"person(\d+)_(?:bacteria|virus)_\d+"), lambda m: f"Kaggle person {int(m[1])}"),
    _Pattern(re.compile(r"(NORMAL2-IM-\d+)-\d+(?:-\d+)?"), lambda m: f"Kaggle {m[1]}"),
    # Wang 2017: 00000165_001.png, patient and follow-up.
    _Pattern(re.compile(r"(\d{8})_\d{3}"), _nih),
)

_NAMED_AFTER = ("ieee8023", "darwin")
"""Sources whose file names other sets keep: Cohen's names are in V7's ``original_filename``."""


def patient_in_name(image: str) -> str | None:
    """Return the patient in a file's name, in the numbering of a known set; None if the name has none."""
    stem = image.rpartition("/")[2].rpartition(".")[0]
    for pattern in _PATTERNS:
        if match := pattern.regex.fullmatch(stem):
            return pattern.name(match)
    return None


def find_shared_file_names(table: pd.DataFrame) -> list[str | None]:
    """Return [N] a name that an image shares with one of Cohen's set in another source, else None."""
    if table["source"].nunique() < 2 or not table["source"].isin(_NAMED_AFTER).any():
        return [None] * len(table)  # a million sets of names take their time
    stems = [image.rpartition("/")[2].rpartition(".")[0].lower() for image in table["image"].tolist()]
    sources: dict[str, set[str]] = {}
    for stem, source in zip(stems, table["source"].tolist(), strict=True):
        sources.setdefault(stem, set()).add(source)
    shared = {
        stem
        for stem, holders in sources.items()
        if len(holders) > 1 and len(stem) >= 6 and not holders.isdisjoint(_NAMED_AFTER)
    }
    return [f"ieee8023 file {stem}" if stem in shared else None for stem in stems]


def find_links_by_name(table: pd.DataFrame) -> list[tuple[int, int, str]]:
    """Return the rows that a patient's number or a name of a known set links: two positions and the reason.

    Args:
        table: Columns ``source``, ``patient_id``, ``image``.
    """
    numbers = [
        f"patient {patient} of {source}" if isinstance(patient, str) else None
        for source, patient in zip(table["source"].tolist(), table["patient_id"].tolist(), strict=True)
    ]
    return [*_link_same_names(numbers), *find_links_by_file_name(table)]


def find_links_by_file_name(table: pd.DataFrame) -> list[tuple[int, int, str]]:
    """Return the rows that a name of a known set links, as `find_links_by_name` does.

    Args:
        table: Columns ``source``, ``image``.
    """
    patients = [patient_in_name(image) for image in table["image"].tolist()]
    return [*_link_same_names(patients), *_link_same_names(find_shared_file_names(table))]


def _link_same_names(names: Sequence[str | None]) -> list[tuple[int, int, str]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name is not None:
            rows.setdefault(name, []).append(row)
    return [(one, two, name) for name, places in rows.items() for one, two in pairwise(places)]
