"""The figures of a model's answers on the rows of a manifest: over all, without refusals, by source and subgroup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from pneumoscope.bundle.card import Card
from pneumoscope.core.frozen import Frozen
from pneumoscope.inference.subgroups import SubgroupFigures, measure_subgroups
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.figures import Figures, evaluate_predictions
from pneumoscope.stats.heterogeneity import PooledFigure, compare_sites
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.kernels import Bools
from pneumoscope.stats.metrics import group_index
from pneumoscope.stats.plain_language import above_threshold
from pneumoscope.stats.recalibration import crossfit_scaling

if TYPE_CHECKING:
    from pneumoscope.bundle.prediction import Prediction
    from pneumoscope.data.manifest import Manifest

REFUSED = "no answer"
"""Instead of a decision: the model refused."""


class SourceFigures(Frozen):
    """The figures of the images of one source: they show how a model differs between archives."""

    images: int
    groups: int
    class_images: dict[str, int]
    refused: int
    metrics: dict[str, Estimate]


class Measurement(Frozen):
    """The figures of an evaluation."""

    figures: Figures = Field(description="of all readable images, refused ones included")
    answered: Figures | None = Field(description="of the images that were not refused; None where none was refused")
    recalibrated: Figures | None = Field(
        default=None,
        description="of all readable images, with temperature and class bias fitted to these images, each patient's to "
        "the other patients; None where nobody asked, or with fewer than 10 groups on either side",
    )
    refused: int
    refused_share: Estimate
    refused_for: dict[str, int] = Field(
        default_factory=dict, description="first reason of a refusal, as a word -> images"
    )
    decisions: dict[str, dict[str, int]] = Field(
        description=f"true class -> what the screen would have said ({REFUSED!r}: refused) -> images"
    )
    by_source: dict[str, SourceFigures]
    by_subgroup: tuple[SubgroupFigures, ...] = Field(
        default=(), description="by age, sex, view, source and maker, where some images are not of it"
    )
    by_site: tuple[PooledFigure, ...] = Field(
        default=(), description="AUROC, calibration slope and O:E of the primary class, by source and over all sources"
    )
    meaning: dict[str, str] = Field(
        default_factory=dict, description="operating point -> what its threshold did on these images, in words"
    )


def measure_answers(
    card: Card,
    read: Manifest,
    answers: Sequence[Prediction],
    seed: int,
    resamples: int,
    design: Design | None,
    *,
    recalibrate: bool,
) -> Measurement:
    """Measure answers against the labels of a manifest.

    Args:
        card: Of the model; of one finding its view.
        read: N rows, whose labels are members of the card's classes.
        answers: One for each row.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
        design: Of the study; None where it is not stated.
        recalibrate: Give the figures of recalibrated probabilities too.
    """
    index = {member: k for k, label in enumerate(card.labels) for member in label.members}
    names = card.label_names
    probabilities = np.array([a.probabilities for a in answers], dtype=np.float64)
    truth = read.table["label"].map(index).to_numpy(dtype=np.intp)
    groups, sources = read.table["group"].to_numpy(dtype=str), read.table["source"].to_numpy(dtype=str)
    refused = np.array([a.refused for a in answers], dtype=np.bool_)
    thresholds: dict[str, float] = {point.name: point.threshold for point in card.operating_points}

    ood = np.array([a.ood for a in answers], dtype=np.float64)

    def figures(mask: Bools, resamples: int, *, with_promises: bool = False) -> Figures:
        return evaluate_predictions(
            probabilities[mask], truth[mask], groups[mask], names,
            thresholds=thresholds, rng=np.random.default_rng(seed), resamples=resamples, design=design,
            promises=card.promises if with_promises else None, ood=ood[mask] if with_promises else None,
        )  # fmt: skip

    def of_source(name: str) -> SourceFigures:
        here = sources == name
        source_figures = figures(here, 0)
        point = next(p for p in source_figures.operating if p.name == card.default_operating_point)
        return SourceFigures(
            images=source_figures.images,
            groups=source_figures.groups,
            class_images=source_figures.class_images,
            refused=int(refused[here].sum()),
            metrics={
                "accuracy": source_figures.overall["accuracy"],
                f"{card.primary}/auroc": source_figures.by_class[card.primary]["auroc"],
                f"{point.name}/sensitivity": point.sensitivity,
                f"{point.name}/specificity": point.specificity,
            },
        )

    recalibrated = None
    if recalibrate:
        rng = np.random.default_rng([seed, 1])
        fitted = crossfit_scaling(probabilities, truth.astype(np.intp), group_index(groups), rng)
        if fitted is not None:
            recalibrated = evaluate_predictions(
                fitted, truth, groups, names, rng=np.random.default_rng(seed), resamples=resamples, design=design
            )
    answer_counts = Counter((names[k], a.decision or REFUSED) for k, a in zip(truth, answers, strict=True))
    all_figures = figures(np.ones(len(truth), dtype=np.bool_), resamples, with_promises=True)
    return Measurement(
        figures=all_figures,
        meaning={
            point.name: above_threshold(
                "these data",
                sorted(set(sources)),
                card.primary,
                (int((truth == 0).sum()), int((truth != 0).sum())),
                point.sensitivity,
                point.specificity,
                ending="",
            )
            for point in all_figures.operating
        },
        recalibrated=recalibrated,
        answered=figures(~refused, resamples) if refused.any() else None,
        refused=int(refused.sum()),
        refused_share=estimate_proportion(refused, group_index(groups), what="set of images"),
        refused_for=dict(Counter(answer.codes[0] for answer in answers if answer.refused)),
        decisions={name: {to: answer_counts[name, to] for to in (*names, REFUSED)} for name in names},
        by_subgroup=measure_subgroups(
            read.table, probabilities[:, 0], truth == 0, group_index(groups), card.operating_point.threshold
        ),
        by_source={name: of_source(name) for name in sorted(set(sources))},
        by_site=compare_sites(probabilities[:, 0], truth == 0, group_index(groups), sources),
    )
