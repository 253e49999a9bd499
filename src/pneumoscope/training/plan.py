"""The plan of a training: recipe and manifest that fit each other; contradictions are errors before the first step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pneumoscope.core.errors import RunError
from pneumoscope.data.label_rows import LEARNING_PARTS, LabelRows, check_learning_parts
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.splits import assign_parts
from pneumoscope.recipes.classes import fit_classes
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.training.input.cache import open_cache
from pneumoscope.training.input.dataset import Part, keys_of

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

    def targets(self, part: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the class index of each row of a part [N]."""
        classes = list(self.recipe.task.classes)
        labels = self.manifest.part(part).table.label
        return np.array([classes.index(str(self.recipe.task.class_of(label))) for label in labels], np.int64)

    def counts(self, part: str) -> list[int]:
        """Return the number of images of each class in a part."""
        return [int(n) for n in np.bincount(self.targets(part), minlength=len(self.recipe.task.classes))]


def make_plan(recipe: Recipe, manifest: Manifest) -> Plan:
    """Fit recipe and manifest to each other.

    Raises:
        RecipeError: A class is missing or extra, and no change of ``task.classes`` says that this is meant.
        RunError: A class has no image in a part that training needs.
    """
    recipe, left_out, class_notes = fit_classes(recipe, Counter(str(label) for label in manifest.table.label))
    notes = list(class_notes)
    if left_out:
        manifest = manifest.where(~manifest.table.label.isin(left_out))
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
    training_plan = Plan(recipe, manifest, tuple(notes))
    table = manifest.table
    rows = LabelRows(table.label.tolist(), table["split"].fillna("").tolist(), table.group.tolist())
    check_learning_parts(recipe.task, rows)
    return training_plan


def load_part(
    training_plan: Plan, part: str, advance: Callable[[int], None] = lambda _: None, *, limit: int | None = None
) -> Part:
    """Return the cached images of one part, decoding them if need be."""
    chosen = training_plan.manifest.part(part)
    targets = training_plan.targets(part)
    if limit is not None:
        chosen, targets = replace(chosen, table=chosen.table.head(limit)), targets[:limit]
    hashes = chosen.table.sha256.tolist()
    size = training_plan.recipe.input.size
    images = open_cache(chosen.paths(), hashes, size, depths=chosen.depths(), advance=advance)
    return Part(images, targets, keys_of(hashes))
