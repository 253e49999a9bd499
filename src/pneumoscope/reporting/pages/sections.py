"""The values of the sections about measured figures, for the page of an evaluation and the report of a run."""

from __future__ import annotations

from typing import Any

from pneumoscope.bundle.card import Card
from pneumoscope.core.labels import display_name, result_phrase
from pneumoscope.inference.evaluate import ALL
from pneumoscope.inference.evaluation import Evaluation
from pneumoscope.inference.measurement import REFUSED
from pneumoscope.reporting import formatting
from pneumoscope.reporting.charts import performance as charts
from pneumoscope.reporting.charts.figure import to_svg
from pneumoscope.reporting.charts.forest import draw_forest
from pneumoscope.reporting.origins import trace_origins
from pneumoscope.stats.predictive_values import NOT_STATED, OPTIMISTIC
from pneumoscope.stats.recalibration import calibration_figures

TRUST = {
    "confidence": "the model's own confidence",
    "ood": "the out-of-distribution score",
}
"""Order of refusal -> its name in a sentence."""

SHOWN_PREVALENCES = 2
"""Number of decision curves side by side: one at the data's share, one at a stated share."""


def name_part(part: str) -> str:
    """Return the name of a part in a sentence."""
    return "all images" if part == ALL else f"the {part} part"


def build_context(evaluation: Evaluation, card: Card, *, finding: bool = False) -> dict[str, Any]:
    """Return the values of an evaluation, by the templates' names.

    Args:
        evaluation: Of a model, or of one finding of a multi-label model.
        card: Of the model, or its view of the finding.
        finding: Whether it is of one finding: what takes the largest probability as the decision is then left out.
    """
    figures = evaluation.figures
    primary = figures.by_class[card.primary]
    default = next(p for p in figures.operating if p.name == card.default_operating_point)
    at_default = formatting.name_point(default.name)
    stated = [curve for curve in figures.decision_curves if curve.stated]
    curves = [*(curve for curve in figures.decision_curves if not curve.stated), *stated[1:2]][:SHOWN_PREVALENCES]
    points = {formatting.name_point(p.name): (p.sensitivity, p.specificity) for p in figures.operating}
    thresholds = {formatting.name_point(p.name): p.threshold for p in figures.operating}
    of_source = next(iter(evaluation.by_source.values())).metrics
    columns = {display_name(name): counts for name, counts in figures.plots.histogram.items()}
    return {
        "e": evaluation,
        "evaluation": evaluation,
        "f": figures,
        "card": card,
        "primary": display_name(card.primary),
        "part_words": name_part(evaluation.part),
        "default_point": card.default_operating_point,
        "tiles": [
            (f"AUROC, {display_name(card.primary)} against the rest", primary["auroc"]),
            (f"Sensitivity at the default threshold ({at_default})", default.sensitivity),
            (f"Specificity at the default threshold ({at_default})", default.specificity),
            *([] if finding else [("Balanced accuracy", figures.overall["balanced_accuracy"])]),
        ],
        "one_finding": finding,
        "meanings": formatting.merge_meanings(evaluation.meaning),
        "primary_auroc": formatting.format_estimate(primary["auroc"]),
        "primary_slope": formatting.format_estimate(primary["calibration_slope"], 2),
        "roc": to_svg(charts.draw_roc(figures.plots.roc, points)),
        "reliability": to_svg(charts.draw_reliability(figures.plots.reliability)),
        "bands_chart": to_svg(charts.draw_score_bands(figures.score_bands)) if figures.score_bands else "",
        "histogram": to_svg(charts.draw_score_histogram(columns, thresholds)),
        "predictive": [(p.name, p.predictive) for p in figures.operating if p.predictive],
        "optimistic": {"case-control": OPTIMISTIC, "cohort": "", None: NOT_STATED}[figures.design],
        "decision_curves": [(curve, to_svg(charts.draw_net_benefit(curve))) for curve in curves],
        "risk_chart": to_svg(charts.draw_risk_coverage(figures.risk_coverage)) if figures.risk_coverage else "",
        "trust_words": TRUST,
        "class_figures": [key for key in primary if not (finding and key in formatting.DECIDED_BY_LARGEST)],
        "shown_classes": figures.classes[:1] if finding else figures.classes,
        "recalibrated": []
        if evaluation.recalibrated is None
        else [
            (formatting.name_figure(key), figures.flat()[key], evaluation.recalibrated.flat()[key])
            for key in calibration_figures(card.primary)
        ],
        "origins": trace_origins(evaluation, card).sentences,
        # The figures of every section with the mark: results, calibration, use.
        "footnotes": formatting.list_footnotes(
            figures.model_copy(update={"plots": None}),
            () if evaluation.answered is None else evaluation.answered,
            () if evaluation.recalibrated is None else evaluation.recalibrated.flat(),
            evaluation.refused_share,
            {name: source.metrics for name, source in evaluation.by_source.items()},
            evaluation.by_subgroup,
            [one.mean for one in evaluation.by_site],
        ),
        "forests": [
            to_svg(draw_forest(one))
            for one in evaluation.by_site
            if one.mean.value is not None and one.figure == "auroc"
        ],
        "source_figures": list(formatting.finding_figures(of_source) if finding else of_source),
        "decision_columns": [*figures.classes, REFUSED],
        "name_decision": lambda name: "No answer" if name == REFUSED else result_phrase(name),
    }


def list_facts(card: Card, identity: str) -> list[tuple[str, str]]:
    """Return the facts about the model that every page shows, as name and text."""
    licences = "; ".join(f"{item.source}: {item.licence}" for item in card.licences)
    return [
        ("Intended use", card.intended_use),
        ("Does not look for", ", ".join(card.not_looked_for)),
        ("Reference standard", "; ".join(f"{display_name(x.name)}: {x.reference_standard}" for x in card.labels)),
        ("Trained with", f"recipe {card.recipe_name}, {card.parameters:,} parameters, {card.created}"),
        ("Input", f"one frontal radiograph, resized inside the model to {card.input_size} × {card.input_size} pixels"),
        ("Groups in its data", formatting.describe_groups(card.group_kind)),
        ("Licence of the weights", licences),
        ("Identity", identity),
    ]
