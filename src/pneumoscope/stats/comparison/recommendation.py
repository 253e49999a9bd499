"""The recommended network: the smallest that is shown to be hardly worse than the best, and why the others are not.

The rule: on validation, the smallest model whose one-sided 95% lower limit of (model - best) exceeds minus a stated
margin. "Best" is the best *estimate* on the same images. Picking a winner flatters it, so that the others look worse
beside it than they are, which makes the limit cautious. Several small models each have their 5% chance to pass wrongly,
which makes it bold. ``docs/concepts/statistics.md`` measures both; the one opening of the test part answers both.

Log-loss and Brier score are better when smaller: there the *upper* limit of (model - best) must stay under the margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.registry import suggestion
from pneumoscope.stats.comparison.paired import Paired
from pneumoscope.stats.comparison.ranked_figures import is_better_smaller, name_in_sentence
from pneumoscope.stats.estimates import Estimate


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be recommended."""

    name: str
    size: int
    """Bytes of the model: the measure of "smallest"."""
    latency: float | None
    """Seconds an image, or None where it was not measured."""
    sensitivity: Estimate | None
    """At its frozen threshold."""
    versus_best: Paired
    """Candidate - best; not used for the best itself."""


class Recommendation(Frozen):
    """The recommended model, if any, and why each other one is not recommended."""

    chosen: str | None
    best: str = Field(description="the best estimate of the metric on these images")
    margin: float
    metric: str
    sentences: tuple[str, ...]
    why_not: dict[str, str] = Field(description="every other candidate -> the reason")


def recommend(
    candidates: Sequence[Candidate],
    *,
    best: str,
    metric: str,
    margin: float = 0.01,
    minimum_sensitivity: float | None = None,
    latency_budget: float | None = None,
) -> Recommendation:
    """Choose the smallest candidate that is not shown to be worse than the best by the margin or more.

    Args:
        candidates: All models of one table, compared on the same images.
        best: Name of the one with the best estimate. It needs no comparison, but must meet the two limits below.
        metric: The metric of ``versus_best``.
        margin: How much worse than the best is still good enough, in units of the metric; > 0.
        minimum_sensitivity: The sensitivity's estimate must reach it.
        latency_budget: Seconds an image that may not be exceeded; a model without a measurement fails it.
    """
    names = [one.name for one in candidates]
    if best not in names:
        raise UsageError(best, f"no such candidate among: {', '.join(names)}.{suggestion(best, names)}")
    if not (math.isfinite(margin) and margin > 0):
        raise UsageError("margin", f"{margin} is not above 0.", "Say how much worse is good enough, such as 0.01.")
    if wrong := {one.versus_best.metric for one in candidates} - {metric}:
        raise ValueError(f"comparisons are of {sorted(wrong)}, the metric asked for is {metric}")
    reasons: dict[str, str] = {}
    for one in candidates:
        objections = [_too_insensitive(one, minimum_sensitivity), _too_slow(one, latency_budget)]
        if one.name != best:
            objections.insert(0, _worse(one.versus_best, best, metric, margin))
        if any(objections):
            reasons[one.name] = "; ".join(filter(None, objections))
    others = [one for one in candidates if one.name != best]
    incomparable = bool(others) and all(_limit(one.versus_best, metric) is None for one in others)
    eligible = [] if incomparable else [one for one in candidates if one.name not in reasons]
    chosen = min(eligible, key=lambda one: (one.size, -_gain(one, best, metric), one.name)) if eligible else None
    if incomparable:
        reasons.setdefault(best, "the best estimate, but no comparison with another model was estimable")
    elif chosen:
        for one in eligible:
            if one.name != chosen.name:
                larger = "larger" if one.size > chosen.size else "as large"
                reasons[one.name] = f"good enough, but {larger}: {_bytes(one.size)} against {_bytes(chosen.size)}"
    return Recommendation(
        chosen=chosen.name if chosen else None,
        best=best,
        margin=margin,
        metric=metric,
        sentences=tuple(_sentences(chosen, candidates, best, metric, margin, minimum_sensitivity, incomparable)),
        why_not={one.name: reasons[one.name] for one in candidates if one.name in reasons},
    )


def _limit(pair: Paired, metric: str) -> float | None:
    """Return the limit on the side of "worse", turned so that below 0 is worse."""
    if not is_better_smaller(metric):
        return pair.lower
    return None if pair.upper is None else -pair.upper


def _gain(one: Candidate, best: str, metric: str) -> float:
    """Return the difference to the best, turned so that larger is better."""
    value = one.versus_best.difference.value
    if one.name == best or value is None:
        return 0.0
    return -value if is_better_smaller(metric) else value


def _worse(pair: Paired, best: str, metric: str, margin: float) -> str:
    limit = _limit(pair, metric)
    if limit is None:
        return f"comparison with {best} not estimable ({pair.note or 'no limits'})"
    if limit > -margin:
        return ""
    return f"may be worse than {best} by the margin of {margin:g} or more: {_limits_in_words(pair, metric)}"


def _limits_in_words(pair: Paired, metric: str) -> str:
    side, limit = ("upper", pair.upper) if is_better_smaller(metric) else ("lower", pair.lower)
    value = pair.difference.value
    if value is None or limit is None:
        return "not estimable"
    return f"difference {value:+.4f}, one-sided 95% {side} limit {limit:+.4f}"


def _too_insensitive(one: Candidate, minimum: float | None) -> str:
    if minimum is None:
        return ""
    if one.sensitivity is None or one.sensitivity.value is None:
        return f"sensitivity not measured, at least {minimum:g} was asked for"
    return f"sensitivity {one.sensitivity}, under {minimum:g}" if one.sensitivity.value < minimum else ""


def _too_slow(one: Candidate, budget: float | None) -> str:
    if budget is None:
        return ""
    if one.latency is None:
        return f"latency not measured, at most {1000 * budget:g} ms an image was asked for"
    return f"{1000 * one.latency:.3g} ms an image, over {1000 * budget:g} ms" if one.latency > budget else ""


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _sentences(
    chosen: Candidate | None,
    candidates: Sequence[Candidate],
    best: str,
    metric: str,
    margin: float,
    minimum: float | None,
    incomparable: bool,
) -> list[str]:
    word = name_in_sentence(metric)
    if len(candidates) == 1:
        first = f"{best} is the only model: there is nothing to compare it with."
        return [first] if chosen else [first, "It does not meet what was asked for, so no model is recommended."]
    lines = [f"{best} has the best {word} on these images."]
    if incomparable:
        return [
            *lines,
            "No comparison was estimable, so no model is recommended: an estimate alone does not say which is best.",
        ]
    if is_better_smaller(metric):
        rule = f"the one-sided 95% upper limit of (model - {best}) must stay under {margin:g} (smaller is better)"
    else:
        rule = f"the one-sided 95% lower limit of (model - {best}) must exceed {-margin:g}"
    if chosen is None:
        lines.append(f"No model meets all that was asked for; to be good enough, {rule}.")
        return lines
    if chosen.name == best:
        lines.append(f"It is recommended: no smaller model was shown to be good enough, for which {rule}.")
    else:
        shown = _limits_in_words(chosen.versus_best, metric)
        lines.append(
            f"{chosen.name} ({_bytes(chosen.size)}) is recommended: it is the smallest that is good enough ({shown}); "
            f"{rule}."
        )
    sensitivity = chosen.sensitivity
    if minimum is not None and sensitivity and sensitivity.low is not None and sensitivity.low < minimum:
        lines.append(f"Its sensitivity is {sensitivity}: the interval reaches below the {minimum:g} asked for.")
    lines.append(
        f"The best was picked on the same images, so its own {word} is flattered, and with several models one may pass "
        "by luck: the finalists are to be measured once on test images."
    )
    return lines
