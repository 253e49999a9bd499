"""The space of a search: what it may change, and between which values, in one validated YAML file.

Values are kept as the study's database keeps them: numbers, texts, true, false and null as they are, a list or mapping
as YAML in one line. A point is turned into the changes that `--set` takes, so that a search can do what a person can.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.overrides import parse_numbers, parse_path
from pneumoscope.recipes.recipe import Recipe

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

MOST_SETTINGS = 1_000_000
"""That a range may count, and a grid: they are held in memory."""

Scalar = bool | int | float | str | None
Point = dict[str, Scalar]
"""One setting: key -> value; a list or mapping is written as YAML."""


class Choice(Frozen):
    """A list of values, in no order."""

    values: tuple[Any, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, data: Any) -> Any:
        return {"values": parse_numbers(data)} if isinstance(data, list) else data

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(map(repr, self.options))) < len(self.options):
            raise ValueError(f"a value comes twice in {list(self.values)}")
        return self

    @property
    def options(self) -> tuple[Scalar, ...]:
        """The values as the study keeps them: scalars as they are, lists and mappings as YAML in one line."""
        return tuple(v if isinstance(v, Scalar) else json.dumps(v) for v in self.values)

    @property
    def finite(self) -> tuple[Scalar, ...] | None:
        """All values."""
        return self.options

    def draw(self, rng: np.random.Generator) -> Scalar:
        """Return one value, each as likely as the others."""
        return self.options[int(rng.integers(len(self.values)))]

    def holds(self, value: Scalar) -> bool:
        """Return whether the value is one of them; True is not 1."""
        return any(option == value and isinstance(option, bool) == isinstance(value, bool) for option in self.options)

    @property
    def edges(self) -> tuple[Scalar, ...]:
        """The values that a check should try: all."""
        return self.options

    @property
    def distribution(self) -> BaseDistribution:
        """The same as Optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)

    def ask(self, trial: Trial, key: str) -> Scalar:
        """Return a trial's value, asking its study's sampler if it is not fixed yet."""
        value: Scalar = trial.suggest_categorical(key, self.options)
        return value


class Range(Frozen):
    """Numbers from ``low`` to ``high``, both included; whole ones if both (and the step) are whole."""

    low: int | float
    high: int | float
    log: bool = Field(default=False, description="search the exponent: for learning rates")
    step: int | float | None = None

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, data: Any) -> Any:
        return {key: parse_numbers(value) for key, value in data.items()} if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not all(math.isfinite(number) for number in (self.low, self.high, self.step or 0)):
            raise ValueError(f"{self.low:g} to {self.high:g} must be finite numbers")
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be less than high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low over 0, not {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("log and step exclude each other; give a list of values instead")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step must be over 0, not {self.step:g}")
        if self.step is not None and not math.isclose(steps := (self.high - self.low) / self.step, round(steps)):
            raise ValueError(f"steps of {self.step:g} from {self.low:g} do not reach {self.high:g}")
        if (self.whole or self.step is not None) and (self.high - self.low) / (self.step or 1) >= MOST_SETTINGS:
            raise ValueError(f"{self.low:g} to {self.high:g} are over {MOST_SETTINGS:,} values; give a (larger) step")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return all(isinstance(v, int) for v in (self.low, self.high, self.step if self.step is not None else 1))

    @property
    def finite(self) -> tuple[int | float, ...] | None:
        """All values; None if there are too many to count."""
        if self.whole:
            return tuple(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        if self.step is None:
            return None
        count = int(np.floor((self.high - self.low) / self.step + 1e-9)) + 1
        return tuple(round(self.low + n * self.step, 12) for n in range(count))

    def draw(self, rng: np.random.Generator) -> Scalar:
        """Return one value, uniform (in the exponent, if ``log``)."""
        if self.log:
            value = float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
            return int(np.clip(round(value), self.low, self.high)) if self.whole else value
        if (values := self.finite) is not None:
            return values[int(rng.integers(len(values)))]
        return float(rng.uniform(self.low, self.high))

    def holds(self, value: Scalar) -> bool:
        """Return whether the value is in the range, on a step if there are steps."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return self.finite is None or any(math.isclose(value, float(step)) for step in self.finite)

    @property
    def edges(self) -> tuple[Scalar, ...]:
        """The values that a check should try: both ends."""
        return (self.low, self.high)

    @property
    def distribution(self) -> BaseDistribution:
        """The same as Optuna has it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)

    def ask(self, trial: Trial, key: str) -> Scalar:
        """Return a trial's value, asking its study's sampler if it is not fixed yet."""
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return trial.suggest_float(key, float(self.low), float(self.high), log=self.log, step=self.step)


def _kind(value: Any) -> str:
    choice = isinstance(value, list | Choice) or (isinstance(value, dict) and "values" in value)
    return "Choice" if choice else "Range"


Setting = Annotated[Annotated[Choice, Tag("Choice")] | Annotated[Range, Tag("Range")], Discriminator(_kind)]


class SearchSpace(Frozen):
    """A search file: the space, and what the search takes by default."""

    name: str
    summary: str = ""
    source: str = ""
    recipe: str | None = Field(default=None, description="the recipe that the space belongs to, if only one")
    trials: int = Field(default=50, ge=1)
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    objective: str = "auroc"
    parameters: dict[str, Setting] = Field(min_length=1)

    @property
    def size(self) -> int | None:
        """How many settings there are; None if they cannot be counted."""
        count = 1
        for setting in self.parameters.values():
            if setting.finite is None:
                return None
            count *= len(setting.finite)
        return count

    def grid(self) -> Iterator[Point]:
        """Yield every setting.

        Raises:
            UsageError: A range has no step.
        """
        values = []
        for key, setting in self.parameters.items():
            if setting.finite is None:
                raise UsageError(f"{key} of search {self.name!r}", "has no step: a grid would not end.", "Give a list.")
            values.append(setting.finite)
        if (size := self.size or 0) > MOST_SETTINGS:
            raise UsageError(
                f"search {self.name!r}",
                f"has {size:,} settings, and a grid holds {MOST_SETTINGS:,}.",
                "Give fewer values, or the sampler random or tpe.",
            )
        for combination in itertools.product(*values):
            yield dict(zip(self.parameters, combination, strict=True))

    def draw(self, rng: np.random.Generator) -> Point:
        """Return a setting at random."""
        return {key: setting.draw(rng) for key, setting in self.parameters.items()}

    def own_point(self, recipe: Recipe) -> Point | None:
        """Return the setting that the recipe has as it stands; None if the space does not hold it."""
        point: Point = {}
        for key, setting in self.parameters.items():
            value = _value_at(recipe, key)
            if not setting.holds(value):
                return None
            point[key] = value
        return point


def _value_at(recipe: Recipe, key: str) -> Scalar:
    place: Any = recipe.model_dump(mode="json")
    for step in parse_path(key, key):
        try:
            place = place[step]
        except (KeyError, IndexError, TypeError):
            return None
    return place if isinstance(place, Scalar) else json.dumps(place)


def changes_of(point: Mapping[str, Scalar]) -> list[str]:
    """Return a setting as the changes that `--set` takes."""
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in point.items()]


def identity_of(point: Mapping[str, Scalar]) -> str:
    """Return what tells one setting from another."""
    return json.dumps(point, sort_keys=True)
