"""The limits of a model, in sentences that follow from its training data and classes; cards and screens show them.

The table of known sources holds facts from their papers and from comparing their images; the rest is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from pneumoscope.bundle.card import CheckNote, CheckSummary, PartMetrics
from pneumoscope.core.labels import LabelSet, display_name, inside_sentence, is_none_label
from pneumoscope.core.task import Task
from pneumoscope.data.checks.ages import CHILDREN_AND_ADULTS
from pneumoscope.data.finding_cases import manifest_targets
from pneumoscope.data.manifest import Manifest
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.plain_language import ENOUGH_FOR_SHARE

KNOWN_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "radiography": (
            "The COVID-19 Radiography Database gives no patients, ages or views; its viral pneumonia images are those "
            "of children from the Kaggle pneumonia set, its normal and COVID-19 images mostly those of adults."
        ),
        "kaggle-pneumonia": "The Kaggle pneumonia set shows children of one to five years of one hospital (Guangzhou).",
        **dict.fromkeys(
            ("nih", "nih-chestxray14"),
            "NIH ChestX-ray14 comes from one hospital in the USA; its labels were mined from reports by a program.",
        ),
        "ieee8023": (
            "The covid-chestxray-dataset collects figures of publications and web pages: striking cases, rescaled and "
            "recompressed."
        ),
    }
)

ADULT_DISEASE_SOURCES = (
    "nih", "nih-chestxray14", "chexpert", "mimic-cxr-jpg", "padchest", "rsna-pneumonia", "vindr-cxr", "openi",
    "bimcv", "ieee8023", "shenzhen", "montgomery", "jsrt",
)  # fmt: skip
"""Sources with adults who have a lung disease other than COVID-19."""

FINDINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pneumothorax": ("pneumothorax",),
        "pleural effusion": ("pleural-effusion", "effusion"),
        "nodules and masses": ("nodule", "mass", "lung-lesion"),
        "tuberculosis": ("tuberculosis",),
        "heart failure and oedema": ("edema", "oedema"),
        "fractures": ("fracture",),
        "position of tubes, lines and devices": ("support-devices",),
    }
)
"""A finding that a reader of chest radiographs expects -> the labels that cover it, in the vocabulary or not.

It stands for its labels where a model looks for none of them; else those that the model lacks are named one by one.
"""

NEVER = ("any finding on lateral views, CT or other body parts",)

WEAK = 0.7
"""Balanced accuracy on one source's validation images, or AUROC of a finding, under which answers are called weak."""

GUESSING = 0.5
"""The AUROC of answers by chance."""


def not_looked_for(task: Task, vocabulary: LabelSet) -> tuple[str, ...]:
    """Return what a model does not look for: the vocabulary and the usual findings without its classes.

    Args:
        task: Its classes, and the labels that they merge.
        vocabulary: Of the data: the built-in one, with the labels that the data brought.
    """
    covered = {*task.classes, *(label for name in task.classes for label in task.members(name))}
    touched = covered.union(*(vocabulary.ancestors(label) for label in covered))
    named = {label for findings in FINDINGS.values() for label in findings}
    whole = {finding: names for finding, names in FINDINGS.items() if not touched & {*names}}
    stand_for = {label for names in whole.values() for label in names}
    labels = [
        inside_sentence(display_name(label))
        for label in vocabulary
        if not is_none_label(label)
        and label not in (*covered, *stand_for, *(named & touched), "other")
        and not covered.intersection(vocabulary.ancestors(label))  # who looks for the wider one looks for this one
    ]
    return (*labels, *whole, *NEVER)


def limits(
    train: pd.DataFrame,
    task: Task,
    group_kind: str,
    by_source: Mapping[str, PartMetrics],
    checks: CheckSummary | None = None,
) -> tuple[str, ...]:
    """Return the limits of a model, in sentences.

    Args:
        train: The rows of the manifest that it was trained on.
        task: Its classes.
        group_kind: Of the manifest's groups.
        by_source: Figures on the validation images of each source.
        checks: What the data checks found; None where they did not run.
    """
    classes = train["label"].map(task.class_of)
    counts = {
        str(name): {str(source): int(n) for source, n in row.items() if n}
        for name, row in pd.crosstab(classes, train["source"]).iterrows()
    }
    weak = []
    for source, part in by_source.items():
        accuracy = part.metrics["balanced_accuracy"]
        if accuracy.value is not None and accuracy.value < WEAK:
            chance = 1 / len(task.classes)
            guessing = accuracy.value <= chance or (accuracy.low is not None and accuracy.low <= chance)
            how = "close to guessing" if guessing else "weak"
            weak.append(
                f"On the {part.images} validation images of {source} its balanced accuracy is {accuracy}: "
                + (
                    f"among images like those its answers are {how}."
                    if part.images >= ENOUGH_FOR_SHARE
                    else "too few to say how its answers are among images like those."
                )
            )
    return _say_limits(train, group_kind, counts, weak, checks)


def count_stated_by_source(train: Manifest, findings: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many images of each source have each finding.

    Args:
        train: The rows that a model was trained on.
        findings: C labels.

    Returns:
        Finding -> source -> images in which it is stated present.
    """
    present = manifest_targets(train, findings) == 1
    sources = train.table["source"]
    return {
        name: {str(source): int(n) for source, n in sources[present[:, k]].value_counts().items()}
        for k, name in enumerate(findings)
    }


def limits_of_findings(
    train: pd.DataFrame,
    group_kind: str,
    counts: Mapping[str, Mapping[str, int]],
    areas: Mapping[str, Estimate],
    checks: CheckSummary | None = None,
) -> tuple[str, ...]:
    """Return the limits of a multi-label model, in sentences.

    Args:
        train: The rows of the manifest that it was trained on.
        group_kind: Of the manifest's groups.
        counts: Finding -> source -> training images that have it.
        areas: Finding -> AUROC on the validation part.
        checks: What the data checks found; None where they did not run.
    """
    named = {name: f"{inside_sentence(display_name(name))} {area}" for name, area in areas.items()}
    guessed = [named[name] for name, area in areas.items() if area.low is not None and area.low <= GUESSING]
    poor = [named[name] for name, area in areas.items() if area.low is not None and GUESSING < area.low < WEAK]
    unknown = [named[name] for name, area in areas.items() if area.low is None]
    weak = []
    if guessed:
        weak.append(
            f"Its AUROC on the validation images may be {GUESSING:g} or less, no better than guessing, for "
            f"{'; '.join(guessed)}."
        )
    if poor:
        weak.append(f"Its AUROC on the validation images may be under {WEAK:g}, a weak ranking, for {'; '.join(poor)}.")
    if unknown:
        weak.append(
            f"How well it tells these findings is not known, since too few images have them: {'; '.join(unknown)}."
        )
    return _say_limits(train, group_kind, counts, weak, checks)


def describe_leak(leak: CheckNote) -> str:
    """Return what a leak between the parts means for the figures, in sentences."""
    return (
        f"Its parts are not kept apart ({leak.name}): {leak.sentence} So its figures are partly memory, and higher "
        f"than on new patients. The training was allowed, because: {leak.because or 'no reason is on record'}"
    )


def _say_limits(
    train: pd.DataFrame,
    group_kind: str,
    counts: Mapping[str, Mapping[str, int]],
    weak: Sequence[str],
    checks: CheckSummary | None,
) -> tuple[str, ...]:
    sentences = [] if checks is None else [describe_leak(leak) for leak in checks.leaks]
    sources = train["source"].value_counts()
    named = ", ".join(f"{name} ({count} images)" for name, count in sources.items())
    sentences.append(f"Trained on {named}; never measured at your site. Expect worse there, often much worse.")
    for name, by_source in counts.items():
        if len(by_source) == 1 and len(sources) > 1:
            ((source, images),) = by_source.items()
            sentences.append(
                f"All {images} training images of {display_name(name)} come from one source "
                f"({source}): the model may recognise the archive instead of the disease."
            )
    if len(sources) == 1:
        sentences.append("One source only: whether it recognises the disease or the archive's habits is not known.")
    diseased = ~train["label"].isin(["normal", "covid-19"])
    known = train["source"].isin([*KNOWN_SOURCES, *ADULT_DISEASE_SOURCES]).all()  # of others nobody said whom they show
    if known and not (train["source"].isin(ADULT_DISEASE_SOURCES) & diseased).any():
        sentences.append("It has met no adult with a lung disease other than COVID-19.")
    if train["age"].isna().mean() > 0.5:
        sentences.append("The age of most training patients is unknown.")
    if checks is not None and any(finding.name == CHILDREN_AND_ADULTS for finding in checks.findings):
        sentences.append("The share of children differs by label: it may tell children from adults, not the classes.")
    if train["view"].isna().mean() > 0.5:
        sentences.append("The view (PA, AP, supine) of most training images is unknown.")
    sentences += weak
    if group_kind != "patient":
        sentences.append(
            f"Patients are not known for all images (independent unit: {group_kind}): the same person may be on both "
            "sides of the split, and the true intervals are wider."
        )
    return (*sentences, *(text for source, text in KNOWN_SOURCES.items() if source in sources.index))
