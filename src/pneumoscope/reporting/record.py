"""Read what the folder of a finished run, or a bundle alone, holds about a model, for the report and the checklists.

This module measures nothing and reads no image. What a folder does not hold is None, and the report says so.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pneumoscope.bundle import evidence
from pneumoscope.bundle.card import LEAKS, Card, CheckNote, read_card
from pneumoscope.bundle.evidence import Fact, Opening
from pneumoscope.bundle.runtime import bundle_folder
from pneumoscope.core.errors import RunError
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.inference.evaluation import AnyEvaluation, Evaluation, FindingsEvaluation
from pneumoscope.recipes.recipe import Recipe, load_recipe


@dataclass(frozen=True)
class Record:
    """The facts about a model and its training.

    Args:
        card: The card of the bundle.
        identity: The identity of the bundle.
        facts: The evidence about the bundle.
        recipe: The resolved recipe.
        environment: The versions and the machine of the training.
        curve: A row for each epoch, as in ``metrics.csv``, without empty cells.
        seconds: The time of all epochs.
        data: The description of the rows that were used, as ``data describe`` gives it.
        checks: The whole report of the data checks, if the run has one. The card has the findings in words.
        evaluation: The figures of one part.
        examples: Whether the report shows images.
    """

    card: Card
    identity: str
    facts: tuple[Fact, ...] = ()
    recipe: Recipe | None = None
    environment: Mapping[str, Any] | None = None
    curve: tuple[Mapping[str, float], ...] = ()
    seconds: float | None = None
    data: Mapping[str, Any] | None = None
    checks: CheckReport | None = None
    evaluation: AnyEvaluation | None = None
    examples: bool = False

    @property
    def measured(self) -> Evaluation | None:
        """The figures of one answer: of a multi-label model those of its first finding, which has the same sections."""
        if isinstance(self.evaluation, FindingsEvaluation):
            return next((self.evaluation.of(name) for name in self.evaluation.findings), None)
        return self.evaluation

    @property
    def openings(self) -> list[Opening]:
        """Openings of test images, oldest first."""
        return sorted((f for f in self.facts if isinstance(f, Opening)), key=lambda opening: opening.time)

    @property
    def kept_epoch(self) -> int | None:
        """The epoch whose weights were kept: the first of the best, as the training chose it."""
        return None if self.recipe is None else self.recipe.selection.best_epoch(self.curve)

    @property
    def leaks(self) -> list[str]:
        """The names of the findings of leaks between parts; empty where the data checks did not run."""
        return [finding.name for finding in self.findings or () if finding.name in LEAKS]

    @property
    def findings(self) -> tuple[CheckNote, ...] | None:
        """The findings of the data checks, in words; None where the checks did not run."""
        if self.checks is not None:
            return tuple(
                CheckNote(name=f.name, severity=f.severity, sentence=f.sentence, because=f.because)
                for f in self.checks.findings
            )
        return None if self.card.gate is None else self.card.gate.findings


def find_run_folder(path: str | Path) -> Path | None:
    """Return the folder of the run whose bundle ``path`` names (itself or its bundle); None for a bundle alone."""
    folder = bundle_folder(path).resolve().parent
    return folder if (folder / "environment.json").is_file() and (folder / "recipe.yaml").is_file() else None


def read_record(path: str | Path) -> Record:
    """Read the folder of a run or of a bundle, or the built-in bundle.

    Raises:
        BundleError: The bundle or its evidence is damaged.
        RunError: A file of the run can't be read.
    """
    bundle = bundle_folder(path)
    card, identity = read_card(bundle)
    recipe = bundle / "recipe.yaml"
    record = Record(
        card=card,
        identity=identity,
        facts=tuple(fact for _, fact in evidence.read(bundle, identity)),
        recipe=load_recipe(str(recipe)) if recipe.is_file() else None,
    )
    folder = find_run_folder(path)
    return record if folder is None else _with_run(record, folder)


def _with_run(record: Record, folder: Path) -> Record:
    manifest, checks = folder / "manifest.parquet", folder / "gate.json"
    evaluation_file, timing = folder / "evaluation.json", folder / "timing.json"
    try:
        kind = FindingsEvaluation if record.card.multilabel else Evaluation
        evaluation = kind.model_validate_json(evaluation_file.read_bytes()) if evaluation_file.is_file() else None
        return replace(
            record,
            environment=json.loads((folder / "environment.json").read_text(encoding="utf-8")),
            curve=_curve(folder / "metrics.csv"),
            seconds=sum(json.loads(timing.read_text())["epoch_seconds"]) if timing.is_file() else None,
            data=describe_file(manifest) if manifest.is_file() else None,
            checks=CheckReport.model_validate_json(checks.read_bytes()) if checks.is_file() else None,
            # Figures of an earlier bundle of this run are not this one's.
            evaluation=evaluation if evaluation is not None and evaluation.identity == record.identity else None,
        )
    except (OSError, ValueError, KeyError, ValidationError) as error:
        first = str(error).strip().splitlines()[0]
        raise RunError(
            str(folder), f"can't be read as a run: {first}.", "Was it written by another version?"
        ) from error


def describe_file(manifest: Path) -> dict[str, Any]:
    """Return the description of the rows of a manifest file."""
    from pneumoscope.data.describe import describe
    from pneumoscope.data.manifest import read_manifest

    return describe(read_manifest(manifest))


def _curve(path: Path) -> tuple[dict[str, float], ...]:
    if not path.is_file():
        return ()
    with path.open(newline="") as file:
        return tuple({key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file))
