"""The report of a reading study: the site's figures as values, as lines for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np
from pydantic import Field

from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import RunError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.agreement import compute_figures, measure_likelihoods
from pneumoscope.server.reading.dashboard import (
    SEED,
    choose_model,
    compute_refused_share,
    describe_model,
    operating_point,
)
from pneumoscope.server.reading.figures import Accuracy, ModelCount, ReaderLikelihoods, SiteFigures
from pneumoscope.server.reading.period import Period
from pneumoscope.server.reading.queries import count_answers, find_target, read_rows
from pneumoscope.server.security.audit_log import record_command
from pneumoscope.server.storage.database import Store
from pneumoscope.stats.agreement import Agreement
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.reader_study import ReaderStudy

STANDARDS: Mapping[str, str] = MappingProxyType(
    {"rt-pcr": "RT-PCR", "ct": "CT", "follow-up": "Follow-up", "other": "Other"}
)
_NOT = "not "


class SiteReport(Frozen):
    """The figures of one model at this site."""

    disclaimer: str = DISCLAIMER
    made: str = Field(description="UTC, ISO 8601")
    model: ModelCount
    findings: tuple[str, ...] = Field(default=(), description="of a multi-label model: those that may be reported")
    operating_point: str | None
    models: tuple[ModelCount, ...] = Field(description="all that answered here")
    refused: Estimate = Field(description="share of the answered images that the model refused")
    figures: SiteFigures
    reader_areas: tuple[ReaderLikelihoods, ...] = Field(
        default=(), description="of the readers whose likelihoods are compared, in the order of figures.reader_study"
    )


def make_report(store: Store, catalogue: Catalogue, model: str | None, finding: str | None = None) -> SiteReport:
    """Return the report on all studies of a store.

    Args:
        store: The server's store.
        catalogue: The server's models.
        model: Name of a model; None: the model with the most answers.
        finding: Which of a multi-label model's findings; None: its first.

    Raises:
        RunError: No model has answered yet.
        NotFoundError: The model is not here.
        UsageError: The model has no such finding.
    """
    record_command(store, "reads report")
    studies = Period().studies()
    with store.read() as session:
        answers = count_answers(session, studies)
        chosen = choose_model(catalogue, answers, model)
        if chosen is None:
            raise RunError("the report", "has nothing to report: no model has answered yet.", "Upload studies first.")
        rows = read_rows(session, store.secret, chosen, studies)
        target = find_target(catalogue, chosen, session, finding)
        refused_share = compute_refused_share(session, chosen, studies)
    return SiteReport(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        model=describe_model(catalogue, chosen, answers.get(chosen, 0)),
        findings=target.findings,
        operating_point=operating_point(catalogue, chosen),
        models=tuple(describe_model(catalogue, identity, number) for identity, number in answers.items()),
        refused=refused_share,
        figures=compute_figures(
            rows.reads, rows.answers, rows.references, target, rng=np.random.default_rng(SEED)
        ),
        reader_areas=measure_likelihoods(rows.reads, rows.references, target),
    )  # fmt: skip


def render_lines(report: SiteReport) -> list[str]:
    """Return the report for a terminal."""
    figures, primary = report.figures, display_name(report.figures.primary)
    counts, changes = figures.counts, figures.changes
    lines = [
        f"{_describe_model(report)}. Positive: {primary}, at {_describe_point(report)}.",
        f"Studies read: {counts.studies}, of patients: {counts.patients}, by readers: {counts.readers}. Conclusions "
        f"unaided: {counts.unaided}, after this model's answer: {counts.aided}. Studies answered: {counts.answered}, "
        f"refused: {counts.refused}, verified: {figures.verification.verified}.",
        "",
        "Agreement (Cohen's kappa; between more than two readers Conger's)",
        _describe_agreement("model and unaided read", figures.model_and_unaided),
        _describe_agreement("unaided read and read after the answer", figures.unaided_and_aided),
        _describe_agreement("between readers, unaided", figures.between_readers),
        "",
        f"Seeing the model changed {changes.changed_label} of {changes.pairs} conclusions, {changes.changed_target} as "
        f"to {primary} ({changes.towards} to what it said, {changes.away} away); of {changes.verified} verified, "
        f"{changes.better} for the better, {changes.worse} for the worse.",
        f"  the same {changes.verified_pairs} verified reads, after minus before: sensitivity "
        f"{changes.sensitivity.difference}, specificity {changes.specificity.difference}",
        *_describe_reader_study(figures.reader_study, report.reader_areas),
        "",
        "Against the reference standard",
        *(_describe_accuracy(name, accuracy) for name, accuracy in figures.accuracy.items()),
    ]
    if figures.by_finding:
        lines += [
            "",
            "Studies read in which each finding was named: by the model, unaided, after the answer, by reference",
        ]
        lines += [
            f"  {display_name(row.label)}: {row.answers}, {row.unaided}, {row.aided}, {row.verified}"
            for row in figures.by_finding
        ]
    if figures.verification.conflicting:
        lines.append(f"  left out, contradictory: {', '.join(figures.verification.conflicting)}")
    return [*lines, "", *(f"! {warning}" for warning in figures.warnings), "", report.disclaimer]


def _describe_reader_study(study: ReaderStudy | None, areas: Sequence[ReaderLikelihoods]) -> list[str]:
    if study is None:
        return []
    p = "" if study.p_value is None else f", p {study.p_value:.3f}, {describe_freedom(study)}"
    return [
        f"  likelihoods of {format_count(study.readers, 'reader')} about the same "
        f"{format_count(study.cases, 'verified study', 'verified studies')} ({study.positives} "
        f"positive): AUROC unaided {study.first}, after {study.second}; difference {study.difference}{p}",
        *(f"    {one.reader}: AUROC unaided {one.unaided}, after {one.aided}" for one in areas),
    ]


def describe_freedom(study: ReaderStudy) -> str:
    """Return the degrees of freedom of the difference, in words; without a limit where the readers gain alike."""
    return f"degrees of freedom {'without limit' if study.freedom is None else f'{study.freedom:.1f}'}"


def render_page(report: SiteReport) -> str:
    """Return the report as one HTML file."""
    from pneumoscope.reporting.pages.base import load_templates

    def side(label: str) -> str:
        """Return a label on screen, also ``not covid-19``."""
        return _NOT + display_name(label[len(_NOT) :]) if label.startswith(_NOT) else display_name(label)

    content: str = load_templates().get_template("site_report.html").render(
        title="Reads and answers at this site",
        r=report,
        f=report.figures,
        model=_describe_model(report),
        primary=display_name(report.figures.primary),
        point=_describe_point(report),
        standards=STANDARDS,
        side=side,
        freedom=describe_freedom,
    )  # fmt: skip
    return content


def _describe_model(report: SiteReport) -> str:
    model = report.model
    name = f"Model {model.name} {model.version}" if model.name else "A model that is no longer here"
    return f"{name} ({model.id}), {model.answers} answers"


def _describe_point(report: SiteReport) -> str:
    from pneumoscope.reporting.formatting import name_point

    return "its card's operating point" if report.operating_point is None else name_point(report.operating_point)


def _describe_agreement(name: str, agreement: Agreement) -> str:
    if not agreement.pairs:
        return f"  {name}: none"
    return f"  {name}: kappa {agreement.kappa}; agree on {agreement.observed} of {agreement.pairs}"


def _describe_accuracy(name: str, accuracy: Accuracy) -> str:
    words = name.replace("_", ", ", 1).replace("_", " ")
    return (
        f"  {words}: sensitivity {accuracy.sensitivity} ({accuracy.hits} of {accuracy.positives}), specificity "
        f"{accuracy.specificity} ({accuracy.negatives - accuracy.false_alarms} of {accuracy.negatives})"
    )
