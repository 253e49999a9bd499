"""The classes of a recipe fitted to the labels that the data have, before anything heavy is loaded.

A class without an image cannot be trained or measured, so a recipe of several classes goes on without it and the change
is noted. A label that no class covers is an error: leaving its images out silently would change what is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pneumoscope.core.arguments import argument
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import RecipeError
from pneumoscope.core.labels import LABELS, SEVERAL, LabelSet, display_name, is_none_label
from pneumoscope.core.registry import suggestion
from pneumoscope.recipes.recipe import Recipe, parse_recipe

_BY = "left out by "
_BY_RECIPE, _BY_CHANGE = f"{_BY}the recipe: ", f"{_BY}a change of task.classes: "
"""How notes begin that name the labels whose images take no part; the manifest of a run keeps them."""
_NOTHING = "nothing"


def note_left_out(notes: Sequence[str], of_recipe: Sequence[str]) -> tuple[str, ...]:
    """Return the notes of a manifest with what a recipe left out of it.

    Args:
        notes: Of the manifest; that of a run has such a note already.
        of_recipe: The notes of `FittedClasses`.
    """
    new = [note for note in of_recipe if note.startswith(_BY) and note not in notes]
    if not new and noted_as_left_out(notes) is None:
        new = [_BY_RECIPE + _NOTHING]
    return (*notes, *new)


def noted_as_left_out(notes: Sequence[str]) -> tuple[str, ...] | None:
    """Return the labels, with their images, that recipes left out by the notes of a manifest; None: no note says it."""
    said = [note.partition(": ")[2] for note in notes if note.startswith((_BY_RECIPE, _BY_CHANGE))]
    return tuple(one for one in said if one != _NOTHING) if said else None


class FittedClasses(NamedTuple):
    """A recipe whose classes the data have.

    Args:
        recipe: With the classes of the data; ``changes`` says what was added or left out.
        left_out: Labels whose images take no part.
        notes: Sentences on the images that take no part.
    """

    recipe: Recipe
    left_out: frozenset[str]
    notes: tuple[str, ...]


class PlaceCounts(NamedTuple):
    """How many groups of a part, or of a half of one, state a finding.

    Args:
        place: Its name, such as "the train part".
        present: Groups with an image that has the finding.
        absent: Groups with an image that is said not to have it.
        least: Groups that must be in each of the two.
    """

    place: str
    present: int
    absent: int
    least: int

    @property
    def share(self) -> float:
        """What is there of what must be, at the rarer of the two answers; under 1 is too few."""
        return min(self.present, self.absent) / self.least

    def __str__(self) -> str:
        return (
            f"{self.place} has it in {format_count(self.present, 'group')} and is said not to have it in "
            f"{self.absent:,}, of at least {self.least} each"
        )


class StatedCounts(NamedTuple):
    """How often a finding is stated.

    Args:
        present: Images that have it.
        absent: Images that are said not to have it.
        places: Groups, in each place that a training needs.
    """

    present: int
    absent: int
    places: tuple[PlaceCounts, ...]

    @property
    def shortage(self) -> PlaceCounts | None:
        """The place that lacks the most; None where each has enough."""
        worst = min(self.places, key=lambda place: place.share)
        return worst if worst.share < 1 else None

    def __str__(self) -> str:
        return f"present in {format_count(self.present, 'image')}, absent in {self.absent:,}"


def fit_findings(recipe: Recipe, stated: Mapping[str, StatedCounts], labels: Mapping[str, int]) -> FittedClasses:
    """Fit the findings of a multi-label recipe to those that the data state.

    A finding that too few groups have, or are said not to have, in a part that a training needs is left out, as long as
    one remains and no change of ``task.classes`` asked for it. How many are enough says ``training.fewest_groups``.

    Args:
        recipe: Its task is multi-label.
        stated: Finding -> images, for all of its classes.
        labels: Label of the manifest -> number of its images.

    Raises:
        RecipeError: No finding can be learnt, or one that was asked for cannot.
    """
    _check_labels(recipe, labels)
    task = recipe.task
    rare = {name: (counts, short) for name, counts in stated.items() if (short := counts.shortage) is not None}
    remaining = [name for name in task.classes if name not in rare]
    left_out = frozenset(label for label in labels if label in task.ignore)
    notes = [f"{_BY_RECIPE}{_count({name: labels[name] for name in left_out})}"] if left_out else []
    if not rare:
        return FittedClasses(recipe, left_out, tuple(notes))
    if not remaining or any(change.startswith("task.classes") for change in recipe.changes):
        listed = "; ".join(f"{name} ({counts}): {short}" for name, (counts, short) in rare.items())
        raise RecipeError(recipe.name, f"the data state too little of {listed}.", _ways_to_findings(recipe, remaining))
    lines = [f"finding {name} left out, too few: {short} ({counts})" for name, (counts, short) in rare.items()]
    return FittedClasses(keep_classes(recipe, remaining, lines), left_out, tuple(notes))


def keep_classes(recipe: Recipe, remaining: Sequence[str], lines: Sequence[str]) -> Recipe:
    """Return a recipe with some of its classes; weights of the loss stay with theirs.

    Args:
        recipe: The recipe.
        remaining: Those of its classes that stay, in its order.
        lines: What is noted in ``changes``.
    """
    weights = recipe.loss.class_weights
    if isinstance(weights, tuple):
        weights = tuple(weight for name, weight in zip(recipe.task.classes, weights, strict=True) if name in remaining)
    return _with_classes(recipe, remaining, lines, {"loss": {"class_weights": weights}})


def _ways_to_findings(recipe: Recipe, remaining: Sequence[str]) -> str:
    ways = "Add such images, or divide the data otherwise (`pneumoscope.split`)."
    if recipe.training.fewest_groups > 1:
        ways += f" Or ask for fewer groups than {recipe.training.fewest_groups}: "
        ways += argument("sets", "training.fewest_groups=2")
    if remaining:
        chosen = argument("sets", f"task.classes=[{', '.join(remaining)}]")
        ways += f" Or train on the others: {chosen}"
    return ways


def fit_classes(recipe: Recipe, labels: Mapping[str, int]) -> FittedClasses:
    """Fit a recipe's classes to the labels of a manifest.

    Optional classes that the data have are added. In a recipe of several classes, those that the data lack are left
    out, as long as the first class and one other remain and no change of ``task.classes`` asked for them.

    Args:
        recipe: The recipe.
        labels: Label of the manifest -> number of its images.

    Raises:
        RecipeError: ``map``, ``ignore`` or ``optional`` name a label that neither the vocabulary nor the data have, a
            class is missing, the first class means "none of these", or a label is not covered by any class and no
            change of ``task.classes`` says that this is meant. The message ends with the option to add.
    """
    _check_labels(recipe, labels)
    _check_primary(recipe)
    task, notes = recipe.task, []
    ignored = {label: n for label, n in labels.items() if task.class_of(label) is None}
    if ignored:
        notes.append(f"{_BY_RECIPE}{_count(ignored)}")
    present: Counter[str] = Counter()
    for label, n in labels.items():
        if (name := task.class_of(label)) is not None:
            present[name] += n
    chosen_by_user = any(change.startswith("task.classes") for change in recipe.changes)
    recipe = _add_optional(recipe, present)
    recipe = _leave_out_missing(recipe, present, chosen_by_user)
    extra = [name for name in present if name not in recipe.task.classes]
    if extra:
        if not chosen_by_user:
            raise _unknown_classes(recipe, extra, [x for x in labels if task.class_of(x) in extra], present)
        notes.append(f"{_BY_CHANGE}{_count({name: present[name] for name in extra})}")
    left_out = frozenset(label for label in labels if task.class_of(label) in (None, *extra))
    return FittedClasses(recipe, left_out, tuple(notes))


def _check_labels(recipe: Recipe, labels: Mapping[str, int]) -> None:
    """Refuse labels that a recipe maps, leaves out or adds and that exist nowhere: they are misspelt."""
    known = dict.fromkeys((*labels, *LABELS))
    for name in (*recipe.task.classes, *recipe.task.map.values()):
        if (meant := LabelSet.builtin().find(name)) not in (None, name) and name not in labels:
            raise RecipeError(recipe.name, f"the class {name!r} is the label {meant!r}.", f"Write {meant!r}.")
    for field in ("map", "ignore", "optional"):
        for label in getattr(recipe.task, field):
            if label not in known:
                raise RecipeError(
                    recipe.name,
                    f"`task.{field}` names the label {label!r}, which neither the vocabulary nor the data have."
                    f"{suggestion(label, known)}",
                    f"Labels: {', '.join(known)}.",
                )


def _check_primary(recipe: Recipe) -> None:
    """Refuse a first class that means "none of these": thresholds and sensitivity are those of the first class."""
    task = recipe.task
    primary = task.classes[0]
    merged = [label for label, name in task.map.items() if name == primary]
    if is_none_label(primary) or (merged and all(map(is_none_label, merged))):
        ordered = ", ".join((*_in_order(task.classes[1:]), primary))
        raise RecipeError(
            recipe.name,
            f"its first class, {primary!r}, means that nothing was found. The first class is the one to look for: the "
            "threshold, the sensitivity and the AUROC are those of it.",
            f"Name a finding first: {argument('sets', f'task.classes=[{ordered}]')}",
        )


def _add_optional(recipe: Recipe, present: Mapping[str, int]) -> Recipe:
    task = recipe.task
    added = [name for name in task.optional if name in present and name not in task.classes]
    if not added:
        return recipe
    lines = [f"optional class {name} joined: the data have it" for name in added]
    return _with_classes(recipe, [*task.classes, *added], lines)


def _leave_out_missing(recipe: Recipe, present: Mapping[str, int], chosen_by_user: bool) -> Recipe:
    task = recipe.task
    missing = [name for name in task.classes if name not in present]
    remaining = [name for name in task.classes if name in present]
    if not missing:
        return recipe
    if task.kind == "binary" or chosen_by_user or task.classes[0] in missing or len(remaining) < 2:
        raise _missing_classes(recipe, missing, present)
    lines = [f"class {name} left out: the data have no image of it" for name in missing]
    return keep_classes(recipe, remaining, lines)


def _with_classes(
    recipe: Recipe, classes: Sequence[str], lines: Sequence[str], other: Mapping[str, Mapping[str, Any]] | None = None
) -> Recipe:
    """Return a recipe with other classes and so another head; the expected number of parameters no longer holds."""
    data = recipe.model_dump(mode="json")
    data["task"]["classes"] = list(classes)
    for section, values in (other or {}).items():
        data[section].update(values)
    data["changes"] = [*recipe.changes, *lines]
    data["expects"] = None
    return parse_recipe(data, recipe.name)


def _missing_classes(recipe: Recipe, missing: Sequence[str], present: Mapping[str, int]) -> RecipeError:
    names = ", ".join(map(display_name, missing))
    way_out = "Add such images."
    if recipe.task.kind == "binary" and len(present) == 2:
        way_out = _choose(sorted(present, key=list(present).index), recipe)
    elif recipe.task.kind != "binary" and len(present) >= 2:
        remaining = [name for name in recipe.task.classes if name in present]
        way_out = _choose([*remaining, *(name for name in present if name not in remaining)], recipe)
    return RecipeError(recipe.name, f"the data have no image of {names}; they have {_count(present)}.", way_out)


def _choose(classes: Sequence[str], recipe: Recipe) -> str:
    """Return the way out that names classes which the data have, the one to look for first."""
    classes = _in_order(classes)
    sets = [f"task.classes=[{', '.join(classes)}]"]
    if recipe.task.sigmoid_of not in (None, *classes):
        sets.append(f"task.sigmoid_of={classes[0]}")
    options = " ".join(argument("sets", change) for change in sets)
    return f"Add such images, or train on what the data have (the class to look for comes first): {options}"


def _in_order(classes: Sequence[str]) -> list[str]:
    """Return classes with those last that nobody looks for: other findings, then "none of these"."""
    return sorted(classes, key=lambda name: (is_none_label(name), name == SEVERAL))


def _unknown_classes(
    recipe: Recipe, extra: Sequence[str], labels: Sequence[str], present: Mapping[str, int]
) -> RecipeError:
    task = recipe.task
    ignore = argument("sets", f"task.ignore=[{', '.join(dict.fromkeys((*task.ignore, *labels)))}]")
    way_out = f"Leave these images out: {ignore}"
    if task.kind != "binary":  # a binary task cannot take more classes
        every = argument("sets", f"task.classes=[{', '.join((*task.classes, *extra))}]")
        way_out += f" or train on these classes too: {every}"
    named = _count({name: present[name] for name in extra})
    problem = f"the data have images of classes that the recipe does not know: {named}."
    return RecipeError(recipe.name, problem, way_out)


def _count(labels: Mapping[str, int]) -> str:
    """Return labels with their numbers of images."""
    return ", ".join(f"{label} ({n})" for label, n in labels.items())
