"""The page of predicted studies: each with its picture, the answer of the model and the observed rate of its score.

"Normal" never stands alone as a result.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.prediction import band_of, result_words, split_decision
from pneumoscope.core.labels import NO_PATTERN, display_name, is_none_label
from pneumoscope.inference.predict import PageItem, heat_place
from pneumoscope.reporting import formatting
from pneumoscope.reporting.charts.gauges import render_score_gauge
from pneumoscope.reporting.examples import Example
from pneumoscope.reporting.pages import sections
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.stats.plain_language import SCORES_UNKNOWN


def render_predictions_page(
    items: Sequence[PageItem], card: Card, identity: str, title: str, *, stamps: Sequence[str] | None = None
) -> str:
    """Return the page of predicted studies.

    Args:
        items: The studies in the order in which they are shown.
        card: The card of the model that predicted them.
        identity: The identity of the bundle.
        title: The title of the page.
        stamps: Those that hold today; None: the card's.
    """
    results = Counter(
        words for prediction, _, _ in items for words in _count_words(prediction.decision, prediction.error)
    )
    looked_for = [display_name(name) for name in card.label_names if not is_none_label(name)]
    stamps = list(card.stamps if stamps is None else stamps)
    if card.synthetic:
        stamps.insert(0, "The model was trained on drawn images: for demonstration only.")
    return load_templates().get_template("predictions.html").render(
        title=title,
        card=card,
        identity=identity,
        facts=sections.list_facts(card, identity),
        primary=display_name(card.primary),
        looks_for=" and ".join(filter(None, [", ".join(looked_for[:-1]), looked_for[-1]])),
        stamps=stamps,
        counts=[(name, n) for name, n in results.most_common()],
        threshold_words=""
        if card.multilabel
        else f"{card.operating_point.threshold:.3f}, {formatting.name_point(card.operating_point.name)}",
        studies=[_describe_study(item, card, synthetic=False) for item in items],
        heatmaps=any(overlay for _, _, overlay in items),
        bands=() if card.one_band else card.score_bands,
        no_pattern=NO_PATTERN,
    )  # fmt: skip


def _count_words(decision: str | None, error: str | None) -> list[str]:
    """Return the words under which a study is counted: one, or each finding that a multi-label model names."""
    if decision is None or error is not None:
        return [result_words(decision, error)]
    return [result_words(name, None) for name in split_decision(decision)]


def build_example_context(examples: Sequence[Example], card: Card) -> dict[str, Any]:
    """Return the values of the section of examples, by the template's names."""
    sections_of_kinds = [
        {
            "title": example.title,
            "how": example.how,
            "total": example.total,
            "studies": [
                _describe_study(item, card, synthetic=example.synthetic) | {"truth": display_name(truth)}
                for item, truth in example.items
            ],
        }
        for example in examples
    ]
    return {
        "examples": sections_of_kinds,
        "examples_of": sum(example.total for example in examples if not example.part_of_others),
        "synthetic": any(example.synthetic for example in examples),
    }


def _describe_study(item: PageItem, card: Card, *, synthetic: bool) -> dict[str, Any]:
    """Return the values of one study, by the template's names."""
    prediction, thumbnail, overlay = item
    has_answer = prediction.error is None and not prediction.refused
    kind = "failed" if prediction.error is not None else "silent" if prediction.refused else ""
    if has_answer and not _is_none(prediction.decision) and (card.multilabel or prediction.decision == card.primary):
        kind = "primary"
    fields: dict[str, Any] = {
        "kind": kind,
        "path": prediction.path,
        "name": PurePath(prediction.path).name,
        "synthetic": synthetic,
        "decision": result_words(prediction.decision, prediction.error),
        "error": prediction.error,
        "reason": _format_sentence(prediction.reason),
        "thumbnail": _encode_data_url(thumbnail),
        "overlay": _encode_data_url(overlay) if has_answer else None,
    }
    if has_answer and card.multilabel:
        fields["findings"] = [
            _describe_finding(card.view(name), p)
            for name, p in zip(card.label_names, prediction.probabilities, strict=True)
        ]
        fields["heat_of"] = display_name(card.label_names[heat_place(card, prediction)])
    elif has_answer:
        p = prediction.probabilities[0]
        others = zip(card.label_names[1:], prediction.probabilities[1:], strict=True)
        fields |= {
            "score": _format_score(p),
            "gauge": render_score_gauge(p, card.operating_point.threshold),
            "band": _describe_band(card, p),
            "others": ", ".join(f"{_describe_class(name)} {_format_score(q)}" for name, q in others),
        }
    return fields


def _describe_finding(view: Card, p: float) -> dict[str, Any]:
    """Return the values of one finding of a study, by the template's names."""
    threshold = view.operating_point.threshold
    return {
        "name": display_name(view.primary),
        "found": p >= threshold,
        "score": _format_score(p),
        "gauge": render_score_gauge(p, threshold),
        "band": _say_band(view, p),
    }


def _say_band(view: Card, p: float) -> str:
    """Return what a score meant, as short as a cell of a table."""
    band = band_of(view, p)
    if band is None or view.one_band:
        return "" if band is None else SCORES_UNKNOWN
    rate, low, high = (f"{100 * band[key]:.0f}%" for key in ("rate", "rate_low", "rate_high"))
    return f"{rate} ({low} to {high}) of {band['n']:.0f} had it"


def _is_none(decision: str | None) -> bool:
    return decision is None or is_none_label(decision)


def _describe_class(name: str) -> str:
    return f"none of these patterns (class “{name}”)" if is_none_label(name) else display_name(name)


def _format_score(p: float) -> str:
    """Return a score of two digits that rounding does not make look certain."""
    if 0 < p < 0.005:
        return "< 0.01"
    if 0.995 <= p < 1:
        return "> 0.99"
    return f"{p:.2f}"


def _describe_band(card: Card, p: float) -> str:
    band = band_of(card, p)
    if band is None or card.one_band:
        return "" if band is None else _format_sentence(SCORES_UNKNOWN)
    return (
        f"Of {band['n']:.0f} calibration images that scored {band['low']:.2f} to {band['high']:.2f}, "
        f"{100 * band['rate']:.0f}% were {display_name(card.primary)} (95% interval {100 * band['rate_low']:.0f} to "
        f"{100 * band['rate_high']:.0f}%)."
    )


def _format_sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _encode_data_url(png: bytes | None) -> str | None:
    return None if png is None else "data:image/png;base64," + base64.b64encode(png).decode("ascii")
