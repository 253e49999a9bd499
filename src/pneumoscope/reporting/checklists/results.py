"""The topics of the results: figures, uncertainty, tests, errors and limits."""

from __future__ import annotations

from pneumoscope.reporting.checklists.answer import TopicAnswer, answer, answer_partly, leave_open
from pneumoscope.reporting.formatting import join_names, list_sources
from pneumoscope.reporting.origins import trace_origins
from pneumoscope.reporting.record import Record


def answer_result_topics(record: Record) -> dict[str, TopicAnswer]:
    """Return the topics of the figures, the tests and the limits."""
    card, evaluation = record.card, record.measured
    kinds = {fact.kind for fact in record.facts}
    has_figures = evaluation is not None or bool(card.metrics or card.findings)
    several = len(list_sources(card)) > 1
    performance = (
        answer("All figures with 95% intervals.", "results")
        if has_figures
        else leave_open("figures: none were measured")
    )
    pooled = evaluation is not None and any(one.mean.value is not None for one in evaluation.by_site)
    origins = None if record.evaluation is None else trace_origins(record.evaluation, card)
    tested = bool(record.openings) or (evaluation is not None and evaluation.earlier_openings is not None)

    # A finding is decided by its own threshold: the matrix of the largest probability says nothing of it.
    errors = "Decisions of each finding by truth" if card.multilabel else "Confusion matrix"
    return {
        "measures": answer(
            "Discrimination, decisions at frozen thresholds, calibration, prediction sets, net benefit, refusal.",
            "results",
            "calibration",
            "use",
        ),
        "uncertainty": answer("95% intervals that keep groups together. The section gives the methods.", "intervals"),
        "robustness": answer("The audit's evidence.", "openings")
        if "audit" in kinds
        else leave_open("an analysis under changed inputs", "Not audited."),
        "internal": answer("The test part, see its openings.", "results", "openings")
        if tested
        else answer_partly(
            "The validation part, which chose the epoch.", "results", to_add="a test (evaluate --split test)"
        ),
        "external": answer("A site's acceptance is on record.", "openings")
        if "acceptance" in kinds
        else answer(
            f"Figures of {join_names(origins.new)}. {' '.join(origins.sentences)} Model and thresholds frozen.",
            "results",
        )
        if origins is not None and origins.external
        else leave_open("figures on images of another site", "" if origins is None else " ".join(origins.sentences)),
        "performance": performance,
        "performance-subgroups": performance
        if not has_figures
        else answer_partly("With 95% intervals; by source and by subgroup.", "results", to_add="figures by origin")
        if evaluation is not None and evaluation.by_subgroup
        else answer_partly("With 95% intervals; by source.", "results", to_add="figures by sex, age and origin"),
        "failures": answer(f"{errors}, and examples by fixed rules.", "results", "examples")
        if record.examples
        else answer_partly(
            f"{errors} and figures by source.",
            "results",
            to_add="examples of errors in their clinical context (--examples)",
        ),
        "heterogeneity": answer(
            "Figures by source; their random-effects mean, deviation and prediction interval for a new source.",
            "results",
        )
        if pooled
        else answer_partly("Figures by source.", "results", to_add="a model of the spread between sites")
        if several
        else leave_open("figures by centre", "One source only."),
        "limitations": answer("See the limits.", "limits"),
    }
