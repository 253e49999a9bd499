"""The images that a search may use, and how they are divided into folds: everything but the test part, by whole groups.

Each fold holds a share of the groups back to be measured. Of the others a smaller share chooses the epoch, as the
validation part does in a training, so that the images measured choose nothing. Where the manifest's own validation part
is large enough it is measured instead: it then chooses the epoch too, as in a training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import RunError
from pneumoscope.core.labels import absent_name, display_name
from pneumoscope.data.finding_cases import manifest_targets
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.splits import assign_parts, deal_rows
from pneumoscope.stats.metrics import group_index
from pneumoscope.training.input.cache import CachedImages, open_cache
from pneumoscope.training.input.dataset import Part, Targets, keys_of
from pneumoscope.training.plan import Plan
from pneumoscope.tuning.options import check_part

CHOOSES_EPOCH = (0.15, 0.25, 0.35, 0.5)
"""Share of a fold's training images that chooses the epoch: what `cnn-224`'s source took, and more where that has not
all classes."""

LARGE_ENOUGH = 50
"""Groups that each class needs in the validation part for it to be measured instead of folds."""

FOLDS = 5

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Fold:
    """Rows that train, that choose the epoch, and that are measured."""

    train: Rows
    select: Rows
    measure: Rows


@dataclass(frozen=True)
class CrossValidationData:
    """The rows of a plan without its test part, their classes and groups, and their images once they are asked for.

    Args:
        manifest: Without test rows.
        classes: The recipe's.
        targets: [N] class index; of several findings an image [N, C] 1 present, 0 absent, NaN unknown.
        groups: [N] integer group.
    """

    manifest: Manifest
    classes: tuple[str, ...]
    targets: Targets
    groups: Rows
    _images: dict[int, CachedImages] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.targets)

    def part(self, size: int, rows: Rows, advance: Callable[[int], None] = lambda _: None) -> Part:
        """Return the images of some rows at a size; each image is decoded once for all folds and trials."""
        hashes = self.manifest.table.sha256.tolist()
        if size not in self._images:
            depths = self.manifest.depths()
            self._images[size] = open_cache(self.manifest.paths(), hashes, size, depths=depths, advance=advance)
        cached = self._images[size]
        keys = keys_of(hashes)[rows]
        return Part(CachedImages(size, cached.shards, cached.place[rows]), self.targets[rows], keys)

    @property
    def answers(self) -> dict[str, NDArray[np.bool_]]:
        """What must be in every part, in words -> [N] which images show it: classes, or both answers to a finding."""
        if self.targets.ndim == 1:
            return {display_name(name): self.targets == k for k, name in enumerate(self.classes)}
        return {
            word: self.targets[:, k] == value
            for k, name in enumerate(self.classes)
            for word, value in ((display_name(name), 1), (display_name(absent_name(name)), 0))
        }

    def counts(self, rows: Rows) -> list[int]:
        """Return the number of images of each class, or with each finding, among some rows."""
        return [int(self.shows(k)[rows].sum()) for k in range(len(self.classes))]

    def shows(self, place: int) -> NDArray[np.bool_]:
        """Return which images are of a class, or have a finding [N]; ``place`` is its own among ``classes``."""
        return np.asarray(self.targets == place if self.targets.ndim == 1 else self.targets[:, place] == 1)

    def lacks(self, rows: Rows) -> list[str]:
        """Return which of `answers` no image of some rows shows."""
        return [word for word, shown in self.answers.items() if not shown[rows].any()]

    def only(self, rows: Rows) -> CrossValidationData:
        """Return some of the rows as data of their own."""
        mask = np.zeros(len(self), np.bool_)
        mask[rows] = True
        return CrossValidationData(self.manifest.where(mask), self.classes, self.targets[mask], self.groups[mask])


def select_data(plan: Plan) -> CrossValidationData:
    """Return what a search may use of a plan: every row that is in a part, but for the test part."""
    parts = plan.manifest.table["split"]
    manifest = plan.manifest.where(parts.notna() & (parts != "test"))
    task, classes = plan.recipe.task, list(plan.recipe.task.classes)
    targets: Targets = (
        manifest_targets(manifest, classes)
        if task.multilabel
        else np.array([classes.index(str(task.class_of(x))) for x in manifest.table.label], np.int64)
    )
    return CrossValidationData(manifest, tuple(classes), targets, group_index(manifest.table.group.to_numpy()))


def validation_is_large(data: CrossValidationData) -> bool:
    """Return whether each class has enough groups in the validation part to rank settings on it."""
    chosen = (data.manifest.table["split"] == "validation").to_numpy()
    return all(len(np.unique(data.groups[chosen & shown])) >= LARGE_ENOUGH for shown in data.answers.values())


def choose_folds(plan: Plan, folds: int | None, split: str | None) -> int:
    """Return how many folds to measure by: as asked, else none where the validation part is large enough, else 5.

    Args:
        plan: Recipe and data.
        folds: What was asked for; None if nothing was.
        split: A part to measure instead.

    Raises:
        RunError: The part is test.
        UsageError: A part that is not for ranking, or both a part and folds.
    """
    if split is None:
        return folds if folds is not None else 0 if validation_is_large(select_data(plan)) else FOLDS
    check_part(split, folds)
    plan.manifest.part("validation")
    return 0


def deal_folds(data: CrossValidationData, count: int, seed: int) -> tuple[Fold, ...]:
    """Divide the data into folds, or into its own training and validation parts if ``count`` is 0.

    Args:
        data: The images.
        count: Folds, 2 or more; 0 measures the validation part.
        seed: Another seed gives another division.

    Raises:
        RunError: A class has no image somewhere in a fold.
    """
    if count == 0:
        parts = data.manifest.table["split"].to_numpy()
        validation = np.flatnonzero(parts == "validation")
        folds: tuple[Fold, ...] = (Fold(np.flatnonzero(parts == "train"), validation, validation),)
    else:
        folds = tuple(
            Fold(*_choose_epoch(data, np.setdiff1d(np.arange(len(data)), held), seed), held)
            for held in deal_rows(data.manifest, count, seed)
        )
    for number, fold in enumerate(folds):
        for use, rows in (("trains", fold.train), ("chooses the epoch", fold.select), ("is measured", fold.measure)):
            if empty := data.lacks(rows):
                raise RunError(
                    f"fold {number + 1} of {count}" if count else "the validation part",
                    f"what {use} has no image of {', '.join(empty)} ({len(rows)} images).",
                    "Take fewer `folds`, another `seed`, or more images.",
                )
    return folds


def _choose_epoch(data: CrossValidationData, rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Return the rows that train and those that choose the epoch."""
    for share in CHOOSES_EPOCH:
        select = _share(data, rows, share, seed)
        train = np.setdiff1d(rows, select)
        if not data.lacks(select) and not data.lacks(train):
            break
    return train, select


def _share(data: CrossValidationData, rows: Rows, share: float, seed: int) -> Rows:
    """Return about a share of some rows, by whole groups."""
    mask = np.zeros(len(data), np.bool_)
    mask[rows] = True
    dealt = assign_parts(data.manifest.where(mask), {"validation": share}, seed)
    return np.sort(rows)[(dealt.table["split"] == "validation").to_numpy()]
