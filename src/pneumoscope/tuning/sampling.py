"""Which setting each slot of a study gets: by grid, at random, or by TPE from what was measured so far.

Grid and random settings are fixed when the study is planned. TPE's depend on the trials that are finished when a worker
asks; its randomness comes from (seed, slot), so that one worker alone, killed and resumed, tries the same settings as
one that was not. No setting is tried twice while there are others.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from pneumoscope.recipes.recipe import Recipe
from pneumoscope.tuning.options import check_pruner, check_sampler
from pneumoscope.tuning.space import Point, SearchSpace, identity_of

STARTUP = 10
"""Random trials before TPE uses their results."""

_ATTEMPTS = 100  # to find a setting that was not tried yet


def plan_points(search: SearchSpace, recipe: Recipe, sampler: str, trials: int, seed: int) -> list[Point]:
    """Return what each slot is to try, the recipe as it stands first (if the space holds it); empty: the sampler says.

    A space with fewer settings than ``trials`` gives as many slots as it has settings. More trials of the same search
    begin with the same ones.

    Raises:
        UsageError: The sampler is unknown, or a grid would be endless.
    """
    check_sampler(sampler, search)
    own = search.own_point(recipe)
    points = [] if own is None else [own]
    rng = np.random.default_rng([seed, 1])
    if sampler == "grid":
        every = list(search.grid())
        points += [every[int(k)] for k in rng.permutation(len(every))]
    elif sampler == "random":
        # Enough for every setting of a small space to come up; a setting that is drawn twice counts once.
        draws = trials * 20 if search.size is None or search.size > 2 * trials else search.size * 40
        points += [search.draw(rng) for _ in range(draws)]
    distinct = {identity_of(point): point for point in reversed(points)}
    ordered = [distinct.pop(name) for point in points if (name := identity_of(point)) in distinct]
    if sampler == "tpe":
        ordered += [{} for _ in range(trials if search.size is None else min(trials, search.size))]
    return list(itertools.islice(ordered, trials if search.size is None else min(trials, search.size)))


class DistinctSampler(BaseSampler):
    """TPE that proposes whole settings, none of which was tried before.

    Args:
        search: The space.
        seed: Of the study.
        slot: Of the trial.
    """

    def __init__(self, search: SearchSpace, seed: int, slot: int) -> None:
        self.search = search
        word = int(np.random.SeedSequence((seed, slot)).generate_state(1)[0])
        self.rng = np.random.default_rng(word)
        self.tpe = TPESampler(seed=word, multivariate=True, n_startup_trials=STARTUP)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space, the same in every trial, without what has one value only."""
        space = {key: setting.distribution for key, setting in self.search.parameters.items()}
        return {key: distribution for key, distribution in space.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return a setting for a trial."""

        def key_of(point: Mapping[str, Any]) -> str:
            return identity_of({key: point[key] for key in search_space})

        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        tried = {key_of(other.params) for other in others if search_space.keys() <= other.params.keys()}
        point: Mapping[str, Any] = {}
        for _ in range(_ATTEMPTS):
            point = self.tpe.sample_relative(study, trial, search_space) or self.search.draw(self.rng)
            if key_of(point) not in tried:
                break
        while key_of(point) in tried and (self.search.size is None or len(tried) < self.search.size):
            point = self.search.draw(self.rng)  # TPE repeats what it knows
        return {key: point[key] for key in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return one value at random; Optuna never asks for it, since the whole space is proposed at once."""
        return self.search.parameters[param_name].draw(self.rng)


def make_pruner(name: str, steps: int) -> BasePruner:
    """Return what stops unpromising trials early.

    Args:
        name: ``median`` (worse than half of the others at the same step), ``hyperband`` or ``none``.
        steps: How many steps a whole trial reports: epochs, or folds.

    Raises:
        UsageError: There is none of that name.
    """
    check_pruner(name)
    if name == "none":
        return NopPruner()
    if name == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=steps // 4, n_min_trials=3)
    return HyperbandPruner(min_resource=1, max_resource=steps, reduction_factor=3)
