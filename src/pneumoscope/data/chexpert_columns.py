"""The 14 columns of the CheXpert labeller, as CheXpert and MIMIC-CXR-JPG publish them.

Irvin et al., CheXpert, AAAI 2019. A program read the reports: 1 means that a finding is present, 0 that the report
negates it, -1 that it is uncertain, and a blank that the report does not name it. ``No Finding`` is 1 where nothing
but devices is present or uncertain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.finding_rows import stated_label, without_contradictions
from pneumoscope.data.source_table import SourceTable

NO_FINDING = "No Finding"

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "Enlarged Cardiomediastinum": "enlarged-cardiomediastinum",
        "Cardiomegaly": "cardiomegaly",
        "Lung Opacity": "lung-opacity",
        "Lung Lesion": "lung-lesion",
        "Edema": "edema",
        "Consolidation": "consolidation",
        "Pneumonia": "pneumonia",
        "Atelectasis": "atelectasis",
        "Pneumothorax": "pneumothorax",
        "Pleural Effusion": "pleural-effusion",
        "Pleural Other": "pleural-other",
        "Fracture": "fracture",
        "Support Devices": "support-devices",
    }
)
"""Column -> label, without `NO_FINDING`."""

OPTIONS = frozenset({"uncertain"})
"""The options of a source that has these columns."""

_DEVICES = "support-devices"  # "No Finding" says nothing of them
_BLANK = frozenset({"", "nan", "na"})
_VALUES: Mapping[str, int] = MappingProxyType(
    {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1}
)  # pandas writes a column with blanks as floating point


class Reading(NamedTuple):
    """What the columns state of an image.

    Attributes:
        findings: Label -> present or absent.
        label: The one label that stands for them.
        raw: The cells that are not blank, verbatim: ``Cardiomegaly=1.0|Edema=-1.0``.
    """

    findings: dict[str, bool]
    label: str
    raw: str


class ChexpertColumns:
    """Reads the columns of a table.

    A blank is unknown, since nobody said that the finding is absent. Most papers count it as absent, and a report
    that does not name a fracture was hardly written about one; but the manifest keeps what was stated.

    Args:
        table: The table.
        uncertain: What -1 counts as, see `source.UNCERTAIN`; None: unknown.
        labels: The vocabulary.

    Raises:
        UsageError: A column is missing.
    """

    def __init__(self, table: SourceTable, uncertain: str | None, labels: LabelSet) -> None:
        self._table, self._labels = table, labels
        self._uncertain = {"zeros": False, "ones": True}.get(uncertain or "")
        self._cells = {name: table.cells(name, f"column {name!r}") for name in (NO_FINDING, *LABELS)}
        self._counts: Counter[str] = Counter()

    def read(self, place: int) -> Reading | None:
        """Return what the row at a place states; None if it states nothing.

        Raises:
            ManifestError: A cell is none of 1, 0, -1 and blank; the row is named.
        """
        values = {
            column: value for column in (NO_FINDING, *LABELS) if (value := self._value(column, place)) is not None
        }
        raw = "|".join(f"{column}={self._cells[column][place].strip()}" for column in values)
        none = values.pop(NO_FINDING, None) == 1
        stated = {LABELS[column]: value for column, value in values.items()}
        pathologies = [label for label in LABELS.values() if label != _DEVICES]
        if none and any(stated.get(label) in (1, -1) for label in pathologies):
            none = False
            self._counts["contradicted"] += 1
        uncertain = [label for label, value in stated.items() if value == -1]
        findings = {label: value == 1 for label, value in stated.items() if value != -1}
        if none:
            findings = {**dict.fromkeys(pathologies, False), **findings}
        if self._uncertain is not None:
            findings |= dict.fromkeys(uncertain, self._uncertain)
            uncertain = []
        agreeing = without_contradictions(findings, uncertain, self._labels)
        self._counts["wider"] += len(agreeing) < len(findings)
        if not agreeing:
            return None
        normal = none or all(agreeing.get(label) is False for label in pathologies)
        return Reading(agreeing, stated_label(agreeing, self._labels, normal=normal), raw)

    def _value(self, column: str, place: int) -> int | None:
        cell = self._cells[column][place].strip()
        if cell.lower() in _BLANK:
            return None
        if cell not in _VALUES:
            raise ManifestError(
                f"{self._table.where(place)}, column {column!r}",
                f"has {quote(cell)}.",
                "Write 1 (present), 0 (absent), -1 (uncertain), or leave it blank (not named).",
            )
        return _VALUES[cell]

    def notes(self) -> list[str]:
        """Return remarks about the rows that were read."""
        name, notes = self._table.path.name, []
        if number := self._counts["contradicted"]:
            notes.append(f"{name}: {number:,} rows have a finding beside {NO_FINDING}, which is left out there")
        if number := self._counts["wider"]:
            notes.append(
                f"{name}: {number:,} rows negate a finding and state, or leave uncertain, a narrower one; "
                "the wider one is not absent there"
            )
        return notes
