"""The plan of a training: recipe and manifest that fit each other; contradictions are errors before the first step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import RecipeError, RunError
from pneumoscope.core.labels import display_name
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.splits import assign_parts
from pneumoscope.recipes.recipe import Recipe, parse_recipe
from pneumoscope.stats.calibration import select_first_half
from pneumoscope.training.input.cache import open_cache
from pneumoscope.training.input.dataset import Part, keys_of

LEARNING_PARTS = ("train", "validation", "calibration")
"""The parts that a training may see. The test part is not even decoded."""


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


def _with_data_classes(recipe: Recipe, present: Counter[str]) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe with its optional classes that the data have, and the classes that stay outside it."""
    task = recipe.task
    added = [name for name in task.optional if name in present and name not in task.classes]
    if added:
        data = recipe.model_dump(mode="json")
        data["task"]["classes"] = [*task.classes, *added]
        data["changes"] = [*recipe.changes, *(f"optional class {name} joined: the data have it" for name in added)]
        data["expects"] = None
        recipe = parse_recipe(data, recipe.name)
    missing = [name for name in recipe.task.classes if name not in present]
    if missing:
        raise RecipeError(
            recipe.name,
            f"the data have no image of {', '.join(map(display_name, missing))}; they have "
            + ", ".join(f"{name} ({count})" for name, count in sorted(present.items()))
            + ".",
            "Add such images, or choose the classes: `sets='task.classes=[...]'`.",
        )
    return recipe, tuple(name for name in present if name not in recipe.task.classes)


def plan(recipe: Recipe, manifest: Manifest) -> Plan:
    """Fit recipe and manifest to each other.

    Raises:
        RecipeError: A class is missing or extra, and no change of ``task.classes`` says that this is meant.
        RunError: A class has no image in a part that training needs.
    """
    notes: list[str] = []
    task = recipe.task
    ignored = manifest.table.label.isin(task.ignore)
    if ignored.any():
        named = ", ".join(f"{label} ({n})" for label, n in Counter(manifest.table.label[ignored]).items())
        notes.append(f"left out by the recipe: {named}")
        manifest = manifest.where(~ignored)
    classes = [str(task.class_of(label)) for label in manifest.table.label]
    present = Counter(classes)
    recipe, extra = _with_data_classes(recipe, present)
    if extra:
        named = ", ".join(f"{name} ({present[name]})" for name in extra)
        if not any(change.startswith("task.classes") for change in recipe.changes):
            every = ", ".join((*task.classes, *extra))
            # A binary task cannot take more classes.
            ignore = argument("sets", f"task.ignore=[{', '.join(extra)}]")
            choose = (
                f"Choose the classes ({argument('sets', f'task.classes=[{every}]')}) or leave these out ({ignore})."
            )
            raise RecipeError(
                recipe.name,
                f"the data have images of classes that the recipe does not know: {named}.",
                f"Leave these out ({ignore})." if task.kind == "binary" else choose,
            )
        notes.append(f"left out by a change of task.classes: {named}")
        manifest = manifest.where(np.array([name not in extra for name in classes]))
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
    for part in LEARNING_PARTS:
        _check_classes(recipe, f"the {part} part", training_plan.targets(part), "")
    # This is checked here and not after hours of training: thresholds are chosen on one half of the calibration part.
    half = select_first_half(manifest.part("calibration").table["group"].to_numpy())
    where = "the half of the calibration part that chooses thresholds"
    _check_classes(recipe, where, training_plan.targets("calibration")[half], "`calibration=0.2` gives it more. ")
    return training_plan


def _check_classes(recipe: Recipe, where: str, targets: np.ndarray[tuple[int], np.dtype[np.int64]], hint: str) -> None:
    """Raise `RunError` unless every class of the recipe has an image among ``targets`` [N]."""
    empty = [name for index, name in enumerate(recipe.task.classes) if index not in targets]
    if empty:
        raise RunError(
            where,
            f"has no image of {', '.join(map(display_name, empty))} ({len(targets)} images in all).",
            f"Divide the data again (`pneumoscope.split`). {hint}Or add images.",
        )


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
