"""What a prediction says in the end: gatekeeper, lungs and classifier together, the same for tables and server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.heat import is_active_outside
from pneumoscope.bundle.prediction import Output, decide, split_decision
from pneumoscope.bundle.screening import MOST_ACTIVE_OUTSIDE, Screening, ScreeningFinding, warn_of_border
from pneumoscope.imaging.border import NO_BORDER, Border

UNLIKE = "unlike-training"
"""The code of a refusal by the classifier's own out-of-distribution score."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A prediction's outcome.

    Attributes:
        probabilities: In the order of the card's labels; empty where the classifier did not run.
        decision: A label, or the findings of a multi-label model; None where it is refused.
        reason: Why it is refused, in words; empty where it is not.
        warnings: What to know beside the answer.
        codes: Of the refusals and the warnings.
    """

    probabilities: tuple[float, ...]
    decision: str | None
    reason: str
    warnings: tuple[ScreeningFinding, ...]
    codes: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether there is no answer."""
        return bool(self.reason)


def judge(
    card: Card,
    probabilities: Sequence[float],
    ood: float,
    screening: Screening | None,
    output: Output | None,
    border: Border = NO_BORDER,
) -> Verdict:
    """Return the outcome of a prediction.

    Args:
        card: Of the classifier.
        probabilities: [C] of it; empty where it did not run.
        ood: Its out-of-distribution score.
        screening: Of gatekeeper and lungs; None where they did not run.
        output: All outputs of the classifier; None where nobody asked for the heatmap.
        border: What was cut off before the classifier looked; a screening warns of it by itself.
    """
    if screening is not None and screening.refusals:
        codes = tuple(finding.code for finding in screening.refusals)
        return Verdict(tuple(probabilities), None, screening.reason, (), codes)
    decision, reason = decide(card, probabilities, ood)
    if reason:
        return Verdict(tuple(probabilities), None, reason, (), (UNLIKE,))
    if screening is not None:
        warnings = list(screening.warnings)
    else:
        warnings = [warn_of_border(border)] if border != NO_BORDER else []
    if screening is not None and screening.outlines is not None and output is not None and output.heatmap is not None:
        places = [card.label_names.index(name) for name in split_decision(str(decision)) if name in card.label_names]
        if any(is_active_outside(output.heatmap[place], screening.outlines) for place in places):
            warnings.append(MOST_ACTIVE_OUTSIDE)
    return Verdict(tuple(probabilities), decision, "", tuple(warnings), tuple(finding.code for finding in warnings))
