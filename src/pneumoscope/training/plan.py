"""The plan of a training: recipe and manifest that fit each other; contradictions are errors before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import RunError
from pneumoscope.data.finding_cases import label_rows, manifest_targets
from pneumoscope.data.fitting import fit_recipe
from pneumoscope.data.label_rows import LEARNING_PARTS, check_learning_parts
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.splits import assign_parts
from pneumoscope.recipes.classes import note_left_out
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.training.input.cache import open_cache
from pneumoscope.training.input.dataset import Part, Targets, keys_of

__all__ = ["LEARNING_PARTS", "Plan", "load_part", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """A recipe and a manifest that fit each other.

    Args:
        recipe: With the classes that the data have.
        manifest: Split, without the rows whose labels the recipe leaves out.
        notes: Sentences on what was decided while they were fitted.
    """

    recipe: Recipe
    manifest: Manifest
    notes: tuple[str, ...]

    def counts(self, part: str) -> list[int]:
        """Return the number of images of each class in a part; the recipe is not multi-label."""
        return [int(n) for n in np.bincount(self.targets(part), minlength=len(self.recipe.task.classes))]

    def targets(self, part: str) -> Targets:
        """Return the class index of each row of a part [N] int64.

        Of a multi-label task: what each row states of each finding [N, C] float32, 1 present, 0 absent, NaN unknown.
        """
        task, chosen = self.recipe.task, self.manifest.part(part)
        if task.multilabel:
            return manifest_targets(chosen, task.classes)
        classes = list(task.classes)
        codes, labels = pd.factorize(chosen.table["label"])
        return np.array([classes.index(str(task.class_of(label))) for label in labels], np.int64)[codes]


def make_plan(recipe: Recipe, manifest: Manifest) -> Plan:
    """Fit recipe and manifest to each other.

    Raises:
        RecipeError: A class is missing or extra, and no change of ``task.classes`` says that this is meant.
        RunError: A class has no image in a part that training needs.
    """
    recipe, left_out, class_notes = fit_recipe(recipe, label_rows(manifest))
    notes = list(class_notes)
    if left_out:
        manifest = manifest.where(~manifest.table.label.isin(left_out))
    manifest = replace(manifest, notes=note_left_out(manifest.notes, class_notes))
    if recipe.task.multilabel:
        stated = ~np.isnan(manifest_targets(manifest, recipe.task.classes)).all(1)
        if not stated.all():
            silent = format_count(int((~stated).sum()), "image")
            notes.append(f"left out, since nothing is stated about the recipe's findings: {silent}")
            manifest = manifest.where(stated)
    if not manifest.parts_present:
        if recipe.split is None:
            raise RunError(
                "the manifest", "has no parts and the recipe states none.", "Divide it with `pneumoscope.split`."
            )
        manifest = assign_parts(
            manifest, {str(part): share for part, share in recipe.split.items()}, recipe.training.seed
        )
        notes.append(
            "the manifest had no parts: split by the recipe into "
            + ", ".join(f"{part} {share:g}" for part, share in recipe.split.items())
        )
    rows = label_rows(manifest)
    if recipe.task.multilabel:  # parts that were just made may lack a finding
        recipe = fit_recipe(recipe, rows).recipe
    check_learning_parts(recipe.task, rows)
    return Plan(recipe, manifest, tuple(notes))


def load_part(
    training_plan: Plan, part: str, advance: Callable[[int], None] = lambda _: None, *, limit: int | None = None
) -> Part:
    """Return the cached images of one part, decoding them if need be."""
    chosen = training_plan.manifest.part(part)
    targets = training_plan.targets(part)
    if limit is not None:
        chosen, targets = replace(chosen, table=chosen.table.head(limit)), targets[:limit]
    size = training_plan.recipe.input.size
    hashes = chosen.table["sha256"].tolist()
    images = open_cache(chosen.lazy_paths(), hashes, size, depths=chosen.depths(), advance=advance)
    return Part(images, targets, keys_of(hashes))
