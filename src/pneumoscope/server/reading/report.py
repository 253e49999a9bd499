"""The report of a reading study: the site's figures at the machine itself, as values, in lines and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np
from pydantic import Field

from pneumoscope.core.errors import RunError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.server.api.schemas.dashboard import ModelCountOut
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.agreement import site_figures
from pneumoscope.server.reading.dashboard import SEED, chosen_model, model_out, operating_point, refused_share
from pneumoscope.server.reading.figures import Accuracy, SiteFigures
from pneumoscope.server.reading.queries import Period, models_that_answered, rows_of, target_of
from pneumoscope.server.security.audit_log import record_command
from pneumoscope.server.storage.database import Store
from pneumoscope.stats.agreement import Agreement
from pneumoscope.stats.estimates import Estimate

STANDARDS: Mapping[str, str] = MappingProxyType(
    {"rt-pcr": "RT-PCR", "ct": "CT", "follow-up": "Follow-up", "other": "Other"}
)
_NOT = "not "


class SiteReport(Frozen):
    """The figures of one model at this site."""

    disclaimer: str = DISCLAIMER
    made: str = Field(description="UTC, ISO 8601")
    model: ModelCountOut
    operating_point: str | None
    models: tuple[ModelCountOut, ...] = Field(description="all that answered here")
    refused: Estimate = Field(description="share of the answered images on which it kept silent")
    figures: SiteFigures


def site_report(store: Store, catalogue: Catalogue, model: str | None) -> SiteReport:
    """Return the report on all studies of a store.

    Args:
        store: The server's.
        catalogue: Its models.
        model: As it was named; None: the one with the most answers.

    Raises:
        RunError: No model has answered yet.
        NotFoundError: The model is not here.
    """
    record_command(store, "reads report")
    studies = Period().studies()
    with store.read() as session:
        answered = models_that_answered(session, studies)
        chosen = chosen_model(catalogue, answered, model)
        if chosen is None:
            raise RunError("the report", "has nothing to report: no model has answered yet.", "Upload studies first.")
        rows = rows_of(session, store.secret, chosen, studies)
        target = target_of(catalogue, chosen, session)
        refused = refused_share(session, chosen, studies)
    return SiteReport(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        model=model_out(catalogue, chosen, answered.get(chosen, 0)),
        operating_point=operating_point(catalogue, chosen),
        models=tuple(model_out(catalogue, name, answers) for name, answers in answered.items()),
        refused=refused,
        figures=site_figures(
            rows.reads, rows.answers, rows.references, target, rng=np.random.default_rng(SEED)
        ),
    )  # fmt: skip


def lines(report: SiteReport) -> list[str]:
    """Return the report for a terminal."""
    figures, primary = report.figures, display_name(report.figures.primary)
    counts, changes = figures.counts, figures.changes
    found = [
        f"{_named(report)}. Positive: {primary}, at {_point(report)}.",
        f"Studies read: {counts.studies}, of patients: {counts.patients}, by readers: {counts.readers}. Conclusions "
        f"unaided: {counts.unaided}, after this model's answer: {counts.aided}. Studies answered: {counts.answered}, "
        f"refused: {counts.refused}, verified: {figures.verification.verified}.",
        "",
        "Agreement (Cohen's kappa; between more than two readers Conger's)",
        _agreed("model and unaided read", figures.model_and_unaided),
        _agreed("unaided read and read after the answer", figures.unaided_and_aided),
        _agreed("between readers, unaided", figures.between_readers),
        "",
        f"Seeing the model changed {changes.changed_label} of {changes.pairs} conclusions, {changes.changed_target} as "
        f"to {primary} ({changes.towards} to what it said, {changes.away} away); of {changes.verified} verified, "
        f"{changes.better} for the better, {changes.worse} for the worse.",
        f"  the same {changes.verified_pairs} verified reads, after minus before: sensitivity "
        f"{changes.sensitivity.difference}, specificity {changes.specificity.difference}",
        "",
        "Against the reference standard",
        *(_judged(name, accuracy) for name, accuracy in figures.accuracy.items()),
    ]
    if figures.verification.conflicting:
        found.append(f"  left out, contradictory: {', '.join(figures.verification.conflicting)}")
    return [*found, "", *(f"! {warning}" for warning in figures.warnings), "", report.disclaimer]


def page(report: SiteReport) -> str:
    """Return the report as one HTML file."""
    from pneumoscope.reporting.pages.base import environment

    def side(label: str) -> str:
        """Return a label on screen, also ``not covid-19``."""
        return _NOT + display_name(label[len(_NOT) :]) if label.startswith(_NOT) else display_name(label)

    made: str = environment().get_template("site_report.html").render(
        title="What reads and answers come to",
        r=report,
        f=report.figures,
        model=_named(report),
        primary=display_name(report.figures.primary),
        point=_point(report),
        standards=STANDARDS,
        side=side,
    )  # fmt: skip
    return made


def _named(report: SiteReport) -> str:
    model = report.model
    name = f"Model {model.name} {model.version}" if model.name else "A model that is no longer here"
    return f"{name} ({model.id}), {model.answers} answers"


def _point(report: SiteReport) -> str:
    from pneumoscope.reporting.formatting import point_name

    return "its card's operating point" if report.operating_point is None else point_name(report.operating_point)


def _agreed(name: str, found: Agreement) -> str:
    if not found.pairs:
        return f"  {name}: none"
    return f"  {name}: kappa {found.kappa}; agree on {found.observed} of {found.pairs}"


def _judged(name: str, found: Accuracy) -> str:
    words = name.replace("_", ", ", 1).replace("_", " ")
    return (
        f"  {words}: sensitivity {found.sensitivity} ({found.hits} of {found.positives}), specificity "
        f"{found.specificity} ({found.negatives - found.false_alarms} of {found.negatives})"
    )
