"""Split a manifest into parts, so that no patient or picture is on two sides.

Whole groups go to the parts, so that each part has its share of every label, source and finding (`stratification`). The
same images give the same parts on every machine, in whatever order the files were found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.core.errors import UsageError
from pneumoscope.core.labels import PARTS
from pneumoscope.core.registry import suggestion
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.stratification import assign_groups, find_holders, order_key

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def parse_ratio(text: str) -> dict[str, float]:
    """Return the shares that ``80/20`` (train/test) or ``70/15/15`` (train/validation/test) stands for.

    The result lacks the parts that the ratio does not name: the caller takes them from train.

    Raises:
        UsageError: It is not two or three numbers that sum to 100 (or to 1).
    """
    try:
        numbers = [float(piece) for piece in text.split("/")]
    except ValueError:
        numbers = []
    total = sum(numbers)
    if len(numbers) not in (2, 3) or min(numbers) <= 0 or not (np.isclose(total, 100) or np.isclose(total, 1)):
        raise UsageError(
            f"ratio {text!r}", "must be train/test or train/validation/test and sum to 100.", "Say 80/20 or 70/15/15."
        )
    names = ("test",) if len(numbers) == 2 else ("validation", "test")
    return {name: share / total for name, share in zip(names, numbers[1:], strict=True)}


def shares(fractions: Mapping[str, float]) -> dict[str, float]:
    """Return the share of every part, in their usual order; train gets the rest.

    Raises:
        UsageError: A part is unknown, a share is outside 0..1, or nothing is left for train.
    """
    for name, share in fractions.items():
        if name not in PARTS:
            raise UsageError(f"part {name!r}", f"is unknown.{suggestion(name, PARTS)}", f"Parts: {', '.join(PARTS)}.")
        if not 0 <= share < 1:
            raise UsageError(f"part {name!r}", f"has the share {share}; it must be at least 0 and under 1.")
    rest = 1 - sum(share for name, share in fractions.items() if name != "train")
    if rest <= 0 or ("train" in fractions and not np.isclose(fractions["train"], rest)):
        description = ", ".join(f"{name} {share:g}" for name, share in fractions.items())
        raise UsageError(f"shares {description}", "must sum to 1 and leave something for train.")
    return {name: rest if name == "train" else fractions.get(name, 0.0) for name in PARTS}


def assign_parts(manifest: Manifest, fractions: Mapping[str, float], seed: int) -> Manifest:
    """Return the manifest with every row in a part; a group is in one part.

    Args:
        manifest: Any manifest; parts that it has already are replaced.
        fractions: Part -> share of the images, 0..1. Train gets the rest.
        seed: Another seed gives another division of the same shares.
    """
    share = shares(fractions)
    used = {name: value for name, value in share.items() if value > 0}
    parts_of_groups = assign_groups(manifest.table, used, seed, manifest.labels)
    description = ", ".join(f"{name} {value:.3g}" for name, value in share.items() if value > 0)
    return manifest.with_split(manifest.table.group.map(parts_of_groups), f"split: {description}; seed {seed}")


def deal_rows(manifest: Manifest, count: int, seed: int) -> list[NDArray[np.intp]]:
    """Return the rows of each of ``count`` folds, by whole groups, alike in label, source and finding.

    Args:
        manifest: Any manifest; its parts do not matter.
        count: Number of folds, 2 or more.
        seed: Another seed gives another division.

    Returns:
        Row numbers, rising, for each fold; each row is in one fold.
    """
    left = np.arange(len(manifest))
    folds = []
    for remaining in range(count, 1, -1):
        mask = np.zeros(len(manifest), np.bool_)
        mask[left] = True
        dealt = assign_parts(manifest.where(mask), {"validation": 1 / remaining}, seed)
        held = left[(dealt.table["split"] == "validation").to_numpy()]
        folds.append(held)
        left = np.setdiff1d(left, held)
    return [*folds, left]


def nested_subsets(manifest: Manifest, shares: Sequence[float], seed: int) -> list[NDArray[np.bool_]]:
    """Return growing subsets of the training part by whole groups, each holding the ones before it.

    Groups of the same labels and sources are ordered by a hash of the seed and their name, and the first ones of each
    kind are taken: at least one.

    Args:
        manifest: A manifest with a training part.
        shares: Share of the groups of each kind, over 0 to 1.
        seed: Another seed gives other subsets.

    Returns:
        For each share [N] whether the row is kept; rows of other parts always are.

    Raises:
        ManifestError: There is no training part.
    """
    manifest.part("train")
    kinds: dict[tuple[str, ...], list[str]] = {}
    rows = manifest.table[manifest.table["split"] == "train"]
    for group, names in (rows.label + " " + rows.source).groupby(rows.group):
        kinds.setdefault(tuple(sorted(set(names))), []).append(str(group))
    ordered = [sorted(groups, key=lambda group: order_key(group, seed)) for groups in kinds.values()]
    kept = []
    for share in shares:
        chosen = {group for groups in ordered for group in groups[: max(1, round(share * len(groups)))]}
        others = (manifest.table["split"] != "train").fillna(True)  # rows in no part stay too
        kept.append((others | manifest.table.group.isin(chosen)).to_numpy(dtype=np.bool_))
    return kept


def describe_gaps(manifest: Manifest, parts: Sequence[str]) -> tuple[str, ...]:
    """Return, in sentences, what a division lacks because the groups do not allow more.

    Args:
        manifest: A manifest in parts.
        parts: The parts that were to have images.

    Returns:
        A sentence for each part without an image, for each group that holds more than half of all images, and for each
        label, and each finding that is present anywhere, that is not in every part. Where none is returned, every part
        has images of every label and with every such finding.
    """
    table = manifest.table
    gaps = [f"{part} has no image." for part in parts if not (table["split"] == part).any()]
    sizes = table.group.value_counts()
    if sizes.iloc[0] * 2 > len(table) and len(parts) > 1:
        gaps.append(
            f"The group {sizes.index[0]!r} holds {sizes.iloc[0]:,} of {len(table):,} images, and a group is in one "
            "part. If its patient number stands for many patients (such as ANONYMOUS), import without that column."
        )
    gaps += [_gap(str(label), rows, parts) for label, rows in table.groupby("label")]
    for name, holders in find_holders(table, manifest.labels).items():
        if not (table["label"] == name).any():  # else its label says as much
            gaps.append(_gap(name, table[holders], parts))
    return tuple(gap for gap in gaps if gap)


def _gap(name: str, rows: pd.DataFrame, parts: Sequence[str]) -> str:
    """Return which parts lack a label or finding, as a sentence about its images; empty where none does."""
    absent = [part for part in parts if not (rows["split"] == part).any()]
    if not absent:
        return ""
    groups = rows.group.nunique()
    only = f"one group ({rows.group.iloc[0]!r})" if groups == 1 else f"{groups:,} groups"
    return f"{name} has {len(rows):,} images in {only}: {', '.join(absent)} {_has(absent)} none of them."


def _has(parts: Sequence[str]) -> str:
    return "has" if len(parts) == 1 else "have"


def balance_train(manifest: Manifest, ratio: Mapping[str, float], seed: int) -> tuple[Manifest, dict[str, int]]:
    """Reduce the over-represented labels of the training part, by whole groups; the other parts stay as they are.

    A group that is left out keeps its rows, in no part, so that it cannot leak into another one.

    Args:
        manifest: A manifest with a training part.
        ratio: Label -> its weight in the ratio, for instance ``{"covid-19": 1, "normal": 1}``.
        seed: Decides which groups stay.

    Returns:
        The manifest, and label -> number of images left out.

    Raises:
        ManifestError: There is no training part.
    """
    out, left = _groups_to_drop(manifest.part("train").table, ratio, seed)
    parts = manifest.table["split"].mask(manifest.table.group.isin(out))
    return manifest.with_split(parts, f"balance of train: {_balance_note(ratio, seed, left)}"), left


def balance_rows(manifest: Manifest, ratio: Mapping[str, float], seed: int) -> tuple[Manifest, list[str]]:
    """Reduce the over-represented labels of a whole manifest, by whole groups, which lose their rows.

    This serves a study whose source states the ratio of all its images. For training alone ``balance_train`` is better,
    since validation, calibration and test then keep their classes.

    Args:
        manifest: Any manifest.
        ratio: Label -> its weight in the ratio; other labels stay as they are.
        seed: Decides which groups stay.

    Returns:
        The manifest, and the images left out as ``source/image``.
    """
    out, left = _groups_to_drop(manifest.table, ratio, seed)
    left_out_rows = manifest.table.group.isin(out)
    names = sorted(manifest.table.source[left_out_rows] + "/" + manifest.table.image[left_out_rows])
    kept = manifest.where(~left_out_rows)
    return replace(kept, notes=(*kept.notes, f"balance: {_balance_note(ratio, seed, left)}")), names


def _groups_to_drop(table: pd.DataFrame, ratio: Mapping[str, float], seed: int) -> tuple[set[str], dict[str, int]]:
    """Return the groups to drop so that the labels have the ratio, and label -> images of these groups."""
    have = table.label.value_counts()
    unit = min(have[label] / weight for label, weight in ratio.items())
    target = {label: round(unit * weight) for label, weight in ratio.items()}

    kept = {label: int(have[label]) for label in ratio}
    left: dict[str, int] = dict.fromkeys(ratio, 0)
    sizes = table.groupby(["group", "label"]).size()
    by_group: dict[str, dict[str, int]] = {}
    for (name, label), number in zip(sizes.index.tolist(), sizes.tolist(), strict=True):
        by_group.setdefault(name, {})[label] = number
    out: set[str] = set()
    for name in sorted(by_group, key=lambda group: order_key(group, seed)):
        count = by_group[name]
        # A group goes only if each of its labels can spare it.
        if all(label in kept and kept[label] - number >= target[label] for label, number in count.items()):
            out.add(name)
            for label, number in count.items():
                kept[label] -= number
                left[label] += number
    return out, left


def _balance_note(ratio: Mapping[str, float], seed: int, left: Mapping[str, int]) -> str:
    description = ", ".join(f"{label} {weight:g}" for label, weight in ratio.items())
    numbers = ", ".join(f"{number} {label}" for label, number in left.items() if number) or "nothing"
    return f"{description}; seed {seed}; left out {numbers}"


def parse_balance(text: str, labels: list[str]) -> dict[str, float]:
    """Return label -> weight for ``1:1`` (all of ``labels`` alike) or ``covid-19=1,normal=2`` (only these).

    Raises:
        UsageError: It is neither, or a label of it is not among ``labels``.
    """
    wrong = UsageError(
        f"balance {text!r}", "must be 1:1 (every label alike) or LABEL=WEIGHT,LABEL=WEIGHT.", "Say covid-19=1,normal=2."
    )
    if "=" not in text:
        if len(set(text.split(":"))) != 1 or ":" not in text:
            raise wrong
        return dict.fromkeys(labels, 1.0)
    ratio: dict[str, float] = {}
    for piece in text.split(","):
        label, _, weight = piece.strip().partition("=")
        if label not in labels:
            raise UsageError(f"label {label!r}", f"has no image to balance.{suggestion(label, labels)}")
        try:
            ratio[label] = float(weight)
        except ValueError:
            raise wrong from None
        if not 0 < ratio[label] < float("inf"):
            raise wrong
    return ratio
