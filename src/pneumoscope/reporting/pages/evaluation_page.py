"""The page of an evaluation: the figures of one bundle on one part, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.evidence import Opening
from pneumoscope.inference.evaluation import AnyEvaluation, FindingsEvaluation
from pneumoscope.reporting.examples import Example
from pneumoscope.reporting.pages import sections
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.reporting.pages.findings import build_findings_context
from pneumoscope.reporting.pages.predictions import build_example_context


def render_evaluation_page(
    evaluation: AnyEvaluation, card: Card, *, openings: Sequence[Opening] = (), examples: Sequence[Example] = ()
) -> str:
    """Return the self-contained HTML page of an evaluation.

    Args:
        evaluation: The measured figures.
        card: The bundle's card.
        openings: Earlier uses of test images with this bundle, from its evidence.
        examples: The images to show, which may be of patients.
    """
    if isinstance(evaluation, FindingsEvaluation):
        return load_templates().get_template("evaluation_findings.html").render(
            title=f"{evaluation.model} on {evaluation.part}",
            facts=sections.list_facts(card, evaluation.identity),
            openings=openings,
            **build_findings_context(evaluation, card),
        )  # fmt: skip
    return load_templates().get_template("evaluation.html").render(
        title=f"{evaluation.model} on {evaluation.part}",
        facts=sections.list_facts(card, evaluation.identity),
        openings=openings,
        **sections.build_context(evaluation, card),
        **build_example_context(examples, card),
    )  # fmt: skip
