"""Labels, parts and groups of a manifest file, read without pandas: enough to refuse a wrong option at once.

Reading a whole manifest imports pandas and pandera, which take two seconds. Three columns by PyArrow take 0.2 s.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pneumoscope.core.arguments import quote, shorten
from pneumoscope.core.errors import LabelError, MissingClassError, UnusableManifestError
from pneumoscope.core.halves import in_first_half
from pneumoscope.core.labels import LabelSet, display_name

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray

    from pneumoscope.core.task import Task

SCHEMA_VERSION = 1
METADATA_KEY = b"pneumoscope"
"""Key of the manifest's own facts in the Parquet file's metadata."""

LEARNING_PARTS = ("train", "validation", "calibration")
"""The parts that a training may see. The test part is not even decoded."""

WHOLE = "the manifest"
"""The one place of a manifest that is in no parts."""

TRAIN = "the train part"
"""The place that the weights are learnt from."""

_CHOOSING_HALF = "the half of the calibration part that chooses thresholds"


@dataclass(frozen=True, slots=True)
class LabelRows:
    """Three columns of a manifest, each [N].

    Args:
        labels: Label of each image.
        parts: Part of each image; empty where it is in none.
        groups: Group of each image.
        sources: Names of the sources that the file knows; empty where the rows come from elsewhere.
        vocabulary: Of the labels: the built-in one, with the labels that the data brought.
        findings: The cell of the column ``findings`` of each image; empty where no image has one.
    """

    labels: list[str]
    parts: list[str]
    groups: list[str]
    sources: tuple[str, ...] = ()
    vocabulary: LabelSet = field(default_factory=LabelSet.builtin)
    findings: list[str | None] = field(default_factory=list)

    def targets(self, classes: Sequence[str]) -> NDArray[np.float32]:
        """Return what each image states of each finding.

        Args:
            classes: C labels.

        Returns:
            [N, C] float32: 1 present, 0 absent, NaN unknown.
        """
        from pneumoscope.data.findings import finding_targets

        cells = self.findings or [None] * len(self.labels)
        return finding_targets(zip(self.labels, cells, strict=True), classes, self.vocabulary)

    def places(self) -> dict[str, list[int]]:
        """Return the rows of each part that a training needs, and of the half of it that chooses thresholds.

        Returns:
            The place's name, for an error -> positions of its rows; one place, all images, where none is in a part.
        """
        if not self.has_parts:
            return {WHOLE: list(range(len(self.labels)))}
        by_part = {part: [i for i, name in enumerate(self.parts) if name == part] for part in LEARNING_PARTS}
        half = [i for i in by_part["calibration"] if in_first_half(self.groups[i])]
        return {f"the {part} part": rows for part, rows in by_part.items()} | {_CHOOSING_HALF: half}

    @property
    def counts(self) -> Counter[str]:
        """Label -> number of images, in the order of the file."""
        return Counter(self.labels)

    @property
    def has_parts(self) -> bool:
        """Whether any image is in a part."""
        return any(self.parts)


def read_label_rows(path: Path) -> LabelRows:
    """Read labels, parts and groups of a manifest file; single values are not checked.

    Raises:
        UnusableManifestError: There is no such file, it is no manifest, is damaged, or is of another version.
    """
    table, facts = read_parquet(path, ["label", "split", "group"], optional=("findings",))
    columns = {name: [value or "" for value in table.column(name).to_pylist()] for name in ("label", "split", "group")}
    if not table.num_rows:
        raise UnusableManifestError(str(path), "has no rows.", "Import a folder that has images.")
    findings = table.column("findings").to_pylist() if "findings" in table.column_names else []
    return LabelRows(
        columns["label"], columns["split"], columns["group"], tuple(facts["roots"]), facts["labels"], findings
    )


def read_parquet(
    path: Path, columns: list[str] | None = None, optional: Sequence[str] = ()
) -> tuple[pyarrow.Table, dict[str, Any]]:
    """Read a manifest file as an Arrow table, with its facts: version, roots, notes, design and labels.

    Args:
        path: The Parquet file.
        columns: Only these columns; None: all.
        optional: Columns to read too, where the file has them: those of earlier versions lack some.

    Raises:
        UnusableManifestError: There is no such file, it is no manifest, is damaged, or is of another version.
    """
    import pyarrow
    import pyarrow.parquet

    make = "Make one with `pneumoscope.import_data`."
    if path.is_dir():
        raise UnusableManifestError(str(path), "is a folder, not a manifest (a .parquet file).", make)
    if not path.is_file():
        raise UnusableManifestError(str(path), "there is no such file.", make)
    try:
        with pyarrow.parquet.ParquetFile(path) as file:  # `read_table` imports pandas
            raw = (file.schema_arrow.metadata or {}).get(METADATA_KEY)
            table = None if raw is None else file.read(columns=columns and [*columns, *optional])
        if table is not None:
            table.validate(full=True)  # damaged text is not UTF-8, and fails only where it is used
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise damaged_file(path, error) from error
    if raw is None or table is None:
        raise UnusableManifestError(str(path), "is a Parquet file, but not a manifest.", make)
    try:
        about: dict[str, Any] = json.loads(raw)
        if not isinstance(about.get("design"), str | None):
            raise TypeError
        facts = {
            "schema_version": about["schema_version"],
            "roots": {str(name): str(root) for name, root in dict(about["roots"]).items()},
            "notes": [str(note) for note in about["notes"]],
            "design": about.get("design"),
            "labels": LabelSet.builtin().with_entries(about.get("labels", {}), str(path)),
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, LabelError) as error:
        raise UnusableManifestError(str(path), "is a manifest whose metadata are damaged.", "Import again.") from error
    if facts["schema_version"] != SCHEMA_VERSION:
        version = facts["schema_version"]
        raise UnusableManifestError(str(path), f"has schema version {version}; this program reads {SCHEMA_VERSION}.")
    for name in columns or ():
        if name not in table.column_names:
            raise UnusableManifestError(
                f"{path}: column {quote(name)}", "is missing.", "Import the data again with this version."
            )
    return table, facts


def damaged_file(path: Path, error: Exception) -> UnusableManifestError:
    """Return the error for a file that cannot be read as a manifest."""
    if path.suffix.lower() in (".csv", ".tsv", ".txt", ".xlsx", ".xls"):
        make = "Make one with `pneumoscope.import_data`."
        return UnusableManifestError(str(path), "is a table, not a manifest (a .parquet file).", make)
    # PyArrow's words hold bytes of the file, and end without a full stop.
    reason = shorten("".join(letter if letter.isprintable() else " " for letter in " ".join(str(error).split())), 200)
    problem = f"is not a Parquet file, or is damaged ({reason.strip().rstrip('.')})."
    return UnusableManifestError(str(path), problem, "Name a manifest, or import again.")


def check_learning_parts(task: Task, rows: LabelRows) -> None:
    """Check that every class has images in each part that a training needs.

    Thresholds are chosen on one half of the calibration part, which therefore needs all classes too: this shows here
    and not after hours of training.

    Args:
        task: Classes, and labels that belong to none.
        rows: Of a manifest in parts.

    Raises:
        MissingClassError: A class has no image in a part.
    """
    if task.multilabel:
        _check_findings(task.classes, rows)
        return
    known = set(task.classes)
    classes = [name if (name := task.class_of(label)) in known else None for label in rows.labels]
    for where, chosen in rows.places().items():
        _check(task, where, [classes[i] for i in chosen])


def _check_findings(findings: Sequence[str], rows: LabelRows) -> None:
    targets = rows.targets(findings)
    for where, chosen in rows.places().items():
        for name, column in zip(findings, targets[chosen].T, strict=True):
            for state, value in (("present", 1), ("absent", 0)):
                if not (column == value).any():
                    raise MissingClassError(
                        where,
                        f"has no image in which {display_name(name)} is stated {state} ({len(chosen)} images in all).",
                        f"Divide the data again (`pneumoscope.split`). {_hint(where)}Or leave this finding out.",
                    )


def _hint(where: str) -> str:
    half = where == _CHOOSING_HALF
    return "`calibration=0.2` gives it more, another `seed` other groups. " if half else ""


def _check(task: Task, where: str, classes: list[str | None]) -> None:
    empty = [name for name in task.classes if name not in classes]
    if empty:
        raise MissingClassError(
            where,
            f"has no image of {', '.join(map(display_name, empty))} ({sum(c is not None for c in classes)} images "
            "in all).",
            f"Divide the data again (`pneumoscope.split`). {_hint(where)}Or add images.",
        )
