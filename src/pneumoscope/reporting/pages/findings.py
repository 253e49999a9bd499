"""The figures of a multi-label model on pages: one table of all findings, then each finding as a binary model's."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from pneumoscope.bundle.card import Card
from pneumoscope.core.labels import display_name
from pneumoscope.inference.evaluation import FindingsEvaluation
from pneumoscope.reporting.formatting import list_footnotes, name_figure
from pneumoscope.reporting.origins import trace_origins
from pneumoscope.reporting.pages import sections
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.stats.plain_language import few_groups


def build_findings_context(evaluation: FindingsEvaluation, card: Card) -> dict[str, Any]:
    """Return the values of a multi-label evaluation, by the templates' names."""
    details = load_templates().get_template("sections/finding.html")
    rows = []
    for name, measured in evaluation.findings.items():
        figures = measured.figures
        point = next(p for p in figures.operating if p.name == card.default_operating_point)
        context = sections.build_context(evaluation.of(name), card.view(name), finding=True)
        rows.append(
            {
                "name": display_name(name),
                "present": figures.class_images[name],
                "absent": figures.images - figures.class_images[name],
                "auroc": figures.by_class[name]["auroc"],
                "auprc": figures.by_class[name]["auprc"],
                "slope": figures.by_class[name]["calibration_slope"],
                "point": point,
                "details": Markup(details.render(**context)),  # rendered, and so escaped, by the same environment
            }
        )
    return {
        "evaluation": evaluation,
        "e": evaluation,
        "card": card,
        "finding_rows": rows,
        "not_measured": {display_name(name): why for name, why in evaluation.not_measured.items()},
        "averages": [(name_figure(key), estimate) for key, estimate in evaluation.shown_averages.items()],
        "origins": trace_origins(evaluation, card).sentences,
        "recalibrated": any(one.recalibrated is not None for one in evaluation.findings.values()),
        "part_words": sections.name_part(evaluation.part),
        "footnotes": list_footnotes(
            [[row["auroc"], row["auprc"], row["slope"], row["point"]] for row in rows], evaluation.shown_averages
        ),
        "warnings": warn_of_few(evaluation),
    }


def warn_of_few(evaluation: FindingsEvaluation) -> tuple[str, ...]:
    """Return the warning of findings that few groups show, in one sentence; none where all have enough."""
    counts = {name: one.figures.class_groups[name] for name, one in evaluation.findings.items()}
    return few_groups(counts, "these images")
