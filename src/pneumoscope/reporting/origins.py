"""Whether the images of an evaluation may be among the training images of the model, by what is known of their sources.

The name of a source alone says little: the same images come under several names, and a folder may hold copies of them.
"""

from __future__ import annotations

from typing import NamedTuple

from pneumoscope.bundle.card import Card
from pneumoscope.core.counts import format_count
from pneumoscope.data.checks.ancestors import DISPLAY, is_known_set, list_shared_origins
from pneumoscope.inference.evaluation import AnyEvaluation, FindingsEvaluation
from pneumoscope.reporting.formatting import join_names, list_sources


class Origins(NamedTuple):
    """The sources of an evaluation whose names no training source has, and what is known of their origins."""

    new: tuple[str, ...]
    """Without a training source of this name."""
    shared: tuple[str, ...]
    """A sentence for each new source that shares an origin with training sources."""
    unknown: tuple[str, ...]
    """New or training sources whose origin is not known, such as a folder."""
    copies: int | None
    """Images with the SHA-256 of a training image; None where the model's manifest is not at hand."""
    only_new: bool
    """Whether every source of the evaluation is new."""

    @property
    def external(self) -> bool:
        """Whether all sources are new, of known origin and share none with a training source, and no copy was found."""
        return self.only_new and bool(self.new) and not (self.shared or self.unknown or self.copies)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the pages say of the sources; empty where every source has the name of a training source."""
        if not self.new:
            return ()
        said = [f"No source named {join_names(self.new, 'or')} trained the model.", *self.shared]
        if self.unknown:
            said.append(
                f"The origin of {join_names(self.unknown)} is not known. So whether these images were among the "
                "training images is not known either."
            )
        elif not self.shared:
            said.append("No origin that they share with a training source is known.")
        if not self.only_new:
            said.append("The other sources have the names of training sources.")
        if self.copies is not None:
            counted = format_count(self.copies, "image has", "images have")
            said.append(f"{counted} the SHA-256 of a training image; changed copies are not counted.")
        return tuple(said)


def trace_origins(evaluation: AnyEvaluation, card: Card) -> Origins:
    """Compare the sources of an evaluation with those that trained the model."""
    trained, measured = list_sources(card), _sources_of(evaluation)
    new = [name for name in measured if name not in trained]
    shared = []
    for name in new:
        common = {other: list_shared_origins(name, other) for other in trained}
        origins = sorted({DISPLAY.get(origin, origin) for each in common.values() for origin in each})
        if origins:
            others = [other for other, each in common.items() if each]
            noun = "origin" if len(origins) == 1 else "origins"
            source = "training source" if len(others) == 1 else "training sources"
            shared.append(
                f"{name} shares the {noun} {join_names(origins)} with the {source} {join_names(others)}, so it is not "
                "external."
            )
    unknown = [name for name in dict.fromkeys([*new, *trained]) if not is_known_set(name)] if new else []
    return Origins(tuple(new), tuple(shared), tuple(unknown), evaluation.training_copies, len(new) == len(measured))


def _sources_of(evaluation: AnyEvaluation) -> list[str]:
    """Return the sources whose images are in a figure, each once."""
    measurements = evaluation.findings.values() if isinstance(evaluation, FindingsEvaluation) else [evaluation]
    return list(dict.fromkeys(name for one in measurements for name in one.by_source))
