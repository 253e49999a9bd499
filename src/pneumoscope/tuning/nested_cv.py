"""Is the tuned recipe better, or only lucky? Both are measured where the search's own figure cannot mislead.

*Repeated*: both settings again, on folds dealt with other seeds. The luck of one division is gone; that the settings
were chosen on the same images remains. *Nested*: for each outer fold a search of its own without that fold, and both
settings measured on it (Varma & Simon, BMC Bioinformatics 2006). It judges the procedure, and costs a search for each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.recipes.recipe import with_changes
from pneumoscope.stats.bootstrap import Resampling, bootstrap
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats
from pneumoscope.training.machine import choose_device
from pneumoscope.tuning.cross_validation import deal_folds
from pneumoscope.tuning.objective import HeldOutPredictions, Objective, find_objective, resample_groups
from pneumoscope.tuning.result import AtPrecision, TuningComparison
from pneumoscope.tuning.space import Point, changes_of
from pneumoscope.tuning.study import SearchJob, StudySession, drop_fold, figures_beside, search
from pneumoscope.tuning.trial import run_folds

PRECISIONS = (0.8, 0.9, 0.95)

REPEATED = (
    "Both settings again, on {count} new divisions into folds. The predictions of all are pooled; those of one group "
    "stay together in the intervals."
)
REPEATED_CAUTION = "The tuned settings were chosen on these same images, so that some optimism remains."
NESTED = (
    "Nested: for each of {count} outer folds the whole search runs again without that fold, then both settings trained "
    "without it and measured on it."
)
NESTED_CAUTION = (
    "No image measured chose anything. What is judged is the search, not the one setting it chose in the end."
)


def _ignore(step: int, value: float) -> None:
    """Report no step: these trials are not pruned."""


def compare_repeated(session: StudySession, best: Point, count: int, callbacks: Callbacks = SILENT) -> TuningComparison:
    """Measure the recipe as it stands and the best setting on ``count`` new divisions.

    Args:
        session: The finished search.
        best: Its best setting.
        count: Divisions; each trains both settings on all folds.
        callbacks: Receive a line for each.
    """
    job = session.job
    recipes = [job.plan.recipe, with_changes(job.plan.recipe, changes_of(best))]
    device = choose_device(job.device)
    pairs = []
    for repeat in range(1, count + 1):
        folds = deal_folds(session.data, job.folds or 5, job.seed + repeat)
        pair = [run_folds(r, session.data, folds, session.objective, device, _ignore).measured for r in recipes]
        pairs.append(pair)
        figures = [f"{session.objective.value(measured):.3f}" for measured in pair]
        callbacks.message(
            f"division {repeat} of {count}: {job.objective} {figures[0]} as it stands, {figures[1]} tuned"
        )
    before, after = (_pooled([pair[k] for pair in pairs]) for k in (0, 1))
    return compare_predictions(before, after, session.objective, REPEATED.format(count=count), REPEATED_CAUTION)


def compare_nested(job: SearchJob, count: int, workers: int, callbacks: Callbacks = SILENT) -> TuningComparison:
    """Search again without each of ``count`` outer folds, and measure both settings on it.

    Args:
        job: The search.
        count: Outer folds.
        workers: Processes of each search.
        callbacks: Receive a line for each fold.
    """
    data, objective = job.data(), find_objective(job.objective, multilabel=job.plan.recipe.task.multilabel)
    device = choose_device(job.device)
    pairs: list[list[HeldOutPredictions]] = []
    chosen: list[Point] = []
    for number, fold in enumerate(deal_folds(data, count, job.seed), start=1):
        inside = np.concatenate([fold.train, fold.select])
        hashes = frozenset(data.manifest.table.sha256.to_numpy()[inside])
        inner = search(drop_fold(job, number, count, hashes), workers)
        point: Point = dict(inner.study.best_trial.params)
        recipes = [job.plan.recipe, with_changes(job.plan.recipe, changes_of(point))]
        pairs.append([run_folds(r, data, (fold,), objective, device, _ignore).measured for r in recipes])
        chosen.append(point)
        callbacks.message(f"outer fold {number} of {count}: chose {' '.join(changes_of(point))}")
    before, after = (_pooled([pair[k] for pair in pairs]) for k in (0, 1))
    return compare_predictions(before, after, objective, NESTED.format(count=count), NESTED_CAUTION, chosen)


def _pooled(parts: Sequence[HeldOutPredictions]) -> HeldOutPredictions:
    return HeldOutPredictions(
        np.concatenate([part.probability for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.group for part in parts]),
    )


def compare_predictions(
    before: HeldOutPredictions,
    after: HeldOutPredictions,
    objective: Objective,
    how: str,
    caution: str,
    chosen: Sequence[Point] = (),
) -> TuningComparison:
    """Compare predictions of the same images by two settings, paired by group.

    Args:
        before: Of the recipe as it stands.
        after: Of the tuned one, the same images in the same order.
        objective: The search's.
        how: What was done, for the reader.
        caution: What it does not show.
        chosen: Nested: the setting of each outer fold.
    """
    same = np.array_equal(before.targets, after.targets, equal_nan=True) and np.array_equal(before.group, after.group)
    if not same:
        raise ValueError("the two predictions are not of the same images in the same order")
    multilabel = before.multilabel
    names = dict.fromkeys((objective.name, *figures_beside(multilabel=multilabel)))
    objectives = {name: find_objective(name, multilabel=multilabel) for name in names}
    sample = resample_groups(before)
    own = None if multilabel else _precision(before)
    # A precision is that of one answer: with several findings there is none to hold.
    levels = [] if multilabel else sorted({*PRECISIONS, *([] if own is None else [round(own, 4)])})
    return TuningComparison(
        how=how,
        caution=caution,
        positives=int((before.stated == 1).sum() if multilabel else before.positive.sum()),
        before={name: one.estimate(before) for name, one in objectives.items()},
        after={name: one.estimate(after) for name, one in objectives.items()},
        difference=_difference(before, after, objective, sample),
        at_precision=tuple(_at_precision(before, after, level, sample) for level in levels),
        chosen=tuple(chosen),
    )


def _precision(of: HeldOutPredictions) -> float | None:
    """Return the precision of deciding for the most probable class."""
    decided = of.probability.argmax(1) == 0
    return float(of.positive[decided].mean()) if decided.any() else None


def _difference(
    before: HeldOutPredictions, after: HeldOutPredictions, objective: Objective, sample: Resampling
) -> Estimate:
    def statistic(weight: Floats) -> Floats:
        return objective.under(after, weight) - objective.under(before, weight)

    return bootstrap(statistic, sample)


def missed_share(score: Floats, positive: Bools, least: float, weight: Floats) -> Floats:
    """Return the smallest share of positives missed at a precision of at least ``least``, under weights [B, N] -> [B].

    1 where no threshold has that precision.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    called = np.cumsum(weight[:, order], axis=1)[:, ends]
    hit = np.cumsum((weight * positive)[:, order], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precise = hit[:, ends] / called >= least - 1e-9
        caught = hit[:, ends] / hit[:, -1:]
    return np.asarray(1 - np.where(precise, caught, 0.0).max(axis=1), dtype=np.float64)


def _at_precision(
    before: HeldOutPredictions, after: HeldOutPredictions, level: float, sample: Resampling
) -> AtPrecision:
    def share(of: HeldOutPredictions, weight: Floats) -> Floats:
        return missed_share(of.score, of.positive, level, weight)

    one = np.ones((1, len(before.truth)))
    shares = [float(share(of, one)[0]) for of in (before, after)]
    counts = [None if s >= 1 else round(s * int(before.positive.sum())) for s in shares]
    difference = bootstrap(lambda weight: share(after, weight) - share(before, weight), sample)
    if None in counts:
        difference = Estimate(value=None, note="not both reach this precision")
    return AtPrecision(precision=level, before=counts[0], after=counts[1], difference=difference)
