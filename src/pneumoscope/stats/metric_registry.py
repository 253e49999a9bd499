"""What a metric is: one function with its name, direction, interval and wording, which every list derives from.

`metric_table.py` holds the metrics. The figures of an evaluation, the comparison of two models, the recommendation and
the names on pages read this registry, so that a new metric is one function in one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

import numpy as np

from pneumoscope.stats.bootstrap import Resampling
from pneumoscope.stats.design import EITHER, Design, wider, with_design
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats, Ints

Better: TypeAlias = Literal["higher", "lower", "near 0", "near 1"]


@dataclass(frozen=True, slots=True)
class OneClass:
    """The images as one class against the rest sees them."""

    score: Floats
    """[N] probability of the class."""
    positive: Bools
    """[N] whether the image is of the class."""
    decided: Bools
    """[N] whether the class has the largest probability."""
    group: Ints
    """[N] integer group of each image."""
    sample: Resampling | None
    """Resamples for intervals; None where none were asked for."""
    design: Design = "case-control"
    """The design that intervals are for."""


@dataclass(frozen=True, slots=True)
class AllClasses:
    """The images as a metric of all classes together sees them."""

    probability: Floats
    """[N, C], rows sum to 1; the first class is the primary one."""
    truth: Ints
    """[N] in 0..C-1."""
    group: Ints
    """[N] integer group of each image."""
    sample: Resampling | None
    """Resamples for intervals; None where none were asked for."""
    design: Design = "case-control"
    """The design that intervals are for."""

    @property
    def decided(self) -> Ints:
        """[N] the class with the largest probability."""
        return self.probability.argmax(axis=1) if len(self.truth) else np.empty(0, dtype=np.intp)

    @property
    def correct(self) -> Bools:
        """[N] whether the decision is right."""
        return np.asarray(self.decided == self.truth, dtype=np.bool_)

    @property
    def members(self) -> list[Bools]:
        """For each class, [N] whether the image is of it."""
        return [self.truth == k for k in range(self.probability.shape[1])]

    def one_class(self, index: int) -> OneClass:
        """Return the images as class ``index`` against the rest sees them."""
        return OneClass(
            score=self.probability[:, index],
            positive=self.truth == index,
            decided=self.decided == index,
            group=self.group,
            sample=self.sample,
            design=self.design,
        )


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """The images as a frozen threshold on the primary class's probability calls them."""

    called: Bools
    """[N] whether the score reaches the threshold."""
    positive: Bools
    """[N] whether the image is of the primary class."""
    group: Ints
    """[N] integer group of each image."""


@dataclass(frozen=True, slots=True)
class PairedArea:
    """How two models' AUROCs are compared: by the ranks of the primary class's scores."""


@dataclass(frozen=True, slots=True)
class PairedMean:
    """How two models are compared by a metric that is a mean over images, or a mean of such means."""

    values: Callable[[Floats, float, Ints], Floats]
    """Probability [N, C], threshold, truth [N] -> what each image adds [N]."""
    parts: Callable[[Ints], list[Bools]]
    """Truth [N] -> the sets of images [N] over which it is a mean; several: the mean of their means."""
    kind: Literal["share", "loss"]
    """share: each image adds 0 or 1; loss: each adds a number that is not bounded by 1."""
    mcnemar: bool = False
    """Whether McNemar's test applies where every group is one image."""


Paired: TypeAlias = PairedArea | PairedMean

I = TypeVar("I", OneClass, AllClasses, AtThreshold)  # noqa: E741


@dataclass(frozen=True, slots=True)
class Metric(Generic[I]):
    """One metric with all that lists, pages and comparisons need to know of it."""

    name: str
    """Its key in JSON: ``balanced_accuracy``."""
    title: str
    """Its name on a page: "Balanced accuracy"."""
    phrase: str
    """Its name inside a sentence: "balanced accuracy"."""
    better: Better
    """In which direction it is better."""
    interval: str
    """How its interval is made, in a few words."""
    function: Callable[[I], Estimate]
    """The images -> the figure with its interval."""
    paired: Paired | None
    """How two models are compared by it; None where they are not."""
    by_design: bool = False
    """Whether its interval depends on the design of the study: whether it mixes classes."""

    @property
    def smaller_is_better(self) -> bool:
        """Whether a smaller value is better."""
        return self.better == "lower"

    def __call__(self, images: I) -> Estimate:
        """Return the figure with its interval."""
        return self.function(images)


class MetricRegistry(Generic[I]):
    """The metrics of one kind of input, in the order in which they are declared.

    Args:
        scope: What the metrics are of, for an error message.
    """

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self._metrics: dict[str, Metric[I]] = {}

    def metric(
        self,
        name: str,
        *,
        title: str,
        better: Better,
        interval: str,
        phrase: str = "",
        paired: Paired | None = None,
        by_design: bool = False,
    ) -> Callable[[Callable[[I], Estimate]], Metric[I]]:
        """Return a decorator that declares a function as a metric.

        Args:
            name: The key in JSON.
            title: The name on a page.
            better: The direction in which it is better.
            interval: How its interval is made, in a few words.
            phrase: The name inside a sentence; the title in small letters where it is left out.
            paired: How two models are compared by it.
            by_design: Whether its interval depends on the design of the study.

        Raises:
            ValueError: The name is taken.
        """

        def declare(function: Callable[[I], Estimate]) -> Metric[I]:
            if name in self._metrics:
                raise ValueError(f"metric {name!r} {self.scope} is declared twice")
            metric = Metric(name, title, phrase or title.lower(), better, interval, function, paired, by_design)
            self._metrics[name] = metric
            return metric

        return declare

    def __iter__(self) -> Iterator[Metric[I]]:
        return iter(self._metrics.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of declaration."""
        return tuple(self._metrics)

    def estimates(self, images: Mapping[Design, I]) -> dict[str, Estimate]:
        """Return every metric of these images, in the order of declaration; its method names the design.

        Args:
            images: The same images for each design that intervals must hold for; of several, the wider counts.
        """
        designs = tuple(images)
        return {
            metric.name: wider([metric(images[design]) for design in designs], designs)
            if metric.by_design
            else with_design(metric(images[designs[0]]), EITHER)
            for metric in self
        }


def mean_over(parts: Sequence[Bools], values: Floats) -> float:
    """Return the mean over ``parts`` (sets of images [N]) of the means of ``values`` [N]."""
    return float(np.mean([values[part].mean() for part in parts]))
