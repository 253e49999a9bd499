"""The patient of an image, as far as names and pictures tell, across sets that copied from each other.

A set that was compiled from others often keeps their file names, and with them a patient's number. Only names that no
other program gives count as an identity. ``IM-0001-0001`` is the name of DICOM viewers' exports, so that only pictures
identify the healthy children of Kaggle's set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.grouping import find_component_roots

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


def find_shared_file_names(context: CheckContext) -> list[str | None]:
    """Return [N] a name that an image shares with one of Cohen's set in another source, else None."""
    table = context.table
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


def find_links_by_name(context: CheckContext) -> list[tuple[int, int, str]]:
    """Return the rows that a patient's number or a name of a known set links: two positions and the reason."""
    table = context.table
    numbers = [
        f"patient {patient} of {source}" if isinstance(patient, str) else None
        for source, patient in zip(table["source"].tolist(), table["patient_id"].tolist(), strict=True)
    ]
    links = []
    for names in (
        numbers,
        [patient_in_name(image) for image in table["image"].tolist()],
        find_shared_file_names(context),
    ):
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            if name is not None:
                rows.setdefault(name, []).append(row)
        links += [(one, two, name) for name, places in rows.items() for one, two in pairwise(places)]
    return links


def number_persons(context: CheckContext) -> list[int]:
    """Return [N] one number for each person: all rows that names or pictures link, directly or through others."""
    links = [(one, two) for one, two, _ in find_links_by_name(context)]
    links += [(pair.first, pair.second) for pair in context.pairs]
    return [int(root) for root in find_component_roots(len(context), links)]
