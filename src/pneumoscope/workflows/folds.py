"""The folds of a cross-validation: who is held out, and how the others train, choose the epoch and calibrate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pneumoscope.comparison.entries import ComparisonEntry, plan_entries
from pneumoscope.core.errors import MissingClassError, RecipeError, RunError, UsageError
from pneumoscope.data.finding_cases import label_rows, manifest_targets
from pneumoscope.data.fitting import count_stated
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.splits import assign_parts, deal_rows
from pneumoscope.recipes.classes import keep_classes
from pneumoscope.recipes.recipe import Recipe, with_changes
from pneumoscope.workflows.inputs import RecipeInput, recipe_of

SHARES = ((0.15, 0.15), (0.2, 0.25), (0.25, 0.35))
"""Shares of a fold's learning images that choose the epoch, and that calibrate; more where that has not all classes."""


@dataclass(frozen=True, slots=True)
class FoldJob:
    """A fold of a repeat: its manifest in parts, of which ``test`` is held out, and the recipes to train in it."""

    repeat: int
    fold: int
    held: Manifest
    entries: Sequence[ComparisonEntry]


def learning_rows(manifest: Manifest) -> tuple[Manifest, int]:
    """Return the rows that may be dealt into folds, and the number of test images that stay closed."""
    if not manifest.parts_present:
        return manifest, 0
    parts = manifest.table["split"]
    return manifest.where(parts.notna() & (parts != "test")), int((parts == "test").sum())


def plan_folds(
    names: Sequence[RecipeInput],
    manifest: Manifest,
    folds: int,
    repeats: int,
    target: str | None,
    sets: Sequence[str],
    seed: int,
) -> Iterator[FoldJob]:
    """Yield the folds with their plans; what does not fit is an error before the first training."""
    for repeat in range(repeats):
        chosen = [recipe_of(name) for name in names]
        if repeat:
            chosen = [with_changes(one, [f"training.seed={one.training.seed + repeat}"]) for one in chosen]
        for fold, held in enumerate(deal_rows(manifest, folds, seed + repeat), start=1):
            mask = np.zeros(len(manifest), np.bool_)
            mask[held] = True
            note = f"fold {fold} of {folds}, seed {seed + repeat}; test: held out"
            for validation, calibration in SHARES:
                parts = np.full(len(manifest), "test", dtype=object)
                shares = {"validation": validation, "calibration": calibration}
                parts[~mask] = assign_parts(manifest.where(~mask), shares, seed + repeat).table["split"].to_numpy()
                try:
                    entries = plan_entries(chosen, manifest.with_split(parts, note), target, sets=sets)
                except MissingClassError as error:
                    missing = error
                    continue
                yield FoldJob(repeat + 1, fold, manifest.where(mask), entries)
                break
            else:
                raise RunError(
                    f"repeat {repeat + 1}, fold {fold} of {folds}",
                    f"has too few patients: {missing.problem}",
                    "Take fewer `folds`, another `seed`, or more images.",
                ) from missing


@dataclass(frozen=True, slots=True)
class _DealtFold:
    """A fold of a repeat, divided by each of `SHARES`."""

    repeat: int
    fold: int
    held: Manifest
    divided: tuple[Manifest, ...]


def plan_folds_of_findings(
    recipes: Sequence[Recipe], manifest: Manifest, folds: int, repeats: int, seed: int
) -> tuple[list[FoldJob], tuple[str, ...], tuple[str, ...]]:
    """Return the folds of recipes of several findings an image, which all ask about the same findings in every fold.

    A finding that some fold has too few patients of is left out of all: a mean over other findings in each fold would
    compare nothing. Of `SHARES` the one is taken that leaves most findings.

    Args:
        recipes: With their changes.
        manifest: The rows to deal.
        folds: 2 or more.
        repeats: Divisions into folds.
        seed: Of the divisions.

    Returns:
        The folds with their plans, the findings, and a sentence for each finding that is left out.

    Raises:
        UsageError: The recipes do not ask about the same findings.
        RecipeError: A finding that was asked for has too few patients in a fold.
        RunError: No finding has enough patients in every fold.
    """
    findings = recipes[0].task.classes
    for recipe in recipes[1:]:
        if set(recipe.task.classes) != set(findings):
            raise UsageError(
                f"{recipes[0].name} and {recipe.name}",
                "do not ask about the same findings.",
                f"Say for both: `sets='task.classes=[{', '.join(findings)}]'`.",
            )
    dealt = [one for repeat in range(repeats) for one in _deal(manifest, folds, repeat, seed)]
    shortages = [
        {name: why for one in dealt for name, why in _find_shortages(recipes, one, place, folds).items()}
        for place in range(len(SHARES))
    ]
    best = min(range(len(SHARES)), key=lambda place: len(shortages[place]))
    missing = {name: shortages[best][name] for name in findings if name in shortages[best]}
    kept = tuple(name for name in findings if name not in missing)
    lines = tuple(f"finding {name} is left out, too few: {why}" for name, why in missing.items())
    if not kept or (missing and any(text.startswith("task.classes") for one in recipes for text in one.changes)):
        error = RecipeError if kept else RunError
        raise error("the folds", " ".join(f"{line}." for line in lines), "Take fewer `folds`, or more images.")
    if missing:
        recipes = [keep_classes(one, [name for name in one.task.classes if name in kept], lines) for one in recipes]
    jobs = []
    for one in dealt:
        seeds = [with_changes(each, [f"training.seed={each.training.seed + one.repeat}"]) for each in recipes]
        chosen = seeds if one.repeat else recipes
        entries = plan_entries(chosen, one.divided[best], kept[0])
        jobs.append(FoldJob(one.repeat + 1, one.fold, one.held, entries))
    return jobs, kept, lines


def _deal(manifest: Manifest, folds: int, repeat: int, seed: int) -> Iterator[_DealtFold]:
    for fold, held in enumerate(deal_rows(manifest, folds, seed + repeat), start=1):
        mask = np.zeros(len(manifest), np.bool_)
        mask[held] = True
        note, divided = f"fold {fold} of {folds}, seed {seed + repeat}; test: held out", []
        for validation, calibration in SHARES:
            parts = np.full(len(manifest), "test", dtype=object)
            shares = {"validation": validation, "calibration": calibration}
            parts[~mask] = assign_parts(manifest.where(~mask), shares, seed + repeat).table["split"].to_numpy()
            divided.append(manifest.with_split(parts, note))
        yield _DealtFold(repeat, fold, manifest.where(mask), tuple(divided))


def _find_shortages(recipes: Sequence[Recipe], one: _DealtFold, place: int, folds: int) -> dict[str, str]:
    """Return the findings that a fold cannot teach or measure, and why."""
    rows, found = label_rows(one.divided[place]), {}
    where = f"in repeat {one.repeat + 1}, fold {one.fold} of {folds}"
    for recipe in recipes:
        for name, counts in count_stated(recipe, rows).items():
            if counts.shortage is not None:
                found[name] = f"{where}, {counts.shortage}"
    findings = recipes[0].task.classes
    for name, column in zip(findings, manifest_targets(one.held, findings).T, strict=True):
        if not ((column == 1).any() and (column == 0).any()):
            found[name] = f"{where}, the images held out do not state it both present and absent"
    return found
