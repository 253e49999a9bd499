"""What a comparison must know of a figure that it ranks by: its name in a sentence, and which way is better.

A figure is one of the metric table, an average over findings (`stats.finding_averages`), or ``FINDING/auroc``.
"""

from __future__ import annotations

from pneumoscope.core.labels import display_name
from pneumoscope.stats.finding_averages import SMALLER_IS_BETTER, TITLES
from pneumoscope.stats.metric_table import compared_metric

_PHRASES = {"macro/auroc": "mean AUROC of the findings", "macro/f1": "mean F1 of the findings"}


def is_better_smaller(figure: str) -> bool:
    """Return whether a figure is better when it is smaller.

    Raises:
        UsageError: There is none of that name.
    """
    if figure in TITLES or "/" in figure:
        return figure in SMALLER_IS_BETTER
    return compared_metric(figure).smaller_is_better


def name_in_sentence(figure: str) -> str:
    """Return the name of a figure inside a sentence.

    Raises:
        UsageError: There is none of that name.
    """
    if figure in TITLES:
        return _PHRASES.get(figure, TITLES[figure])
    if "/" in figure:
        owner, _, metric = figure.rpartition("/")
        return f"{compared_metric(metric).phrase} of {display_name(owner)}"
    return compared_metric(figure).phrase
