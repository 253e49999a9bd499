"""A multi-label model as a binary one: what an audit or an acceptance asks is asked of one finding."""

from __future__ import annotations

from pneumoscope.bundle.runtime import Model
from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.data.finding_cases import select_cases
from pneumoscope.data.manifest import Manifest


def choose_finding(model: Model, finding: str | None) -> Model:
    """Return a model with one question: itself, or a multi-label model as the binary model of one finding.

    Args:
        model: A loaded model.
        finding: One of a multi-label model's labels; None for any other model.

    Raises:
        UsageError: A multi-label model without a finding, a finding that it does not know, or one for another model.
    """
    if finding is not None:
        return model.about(finding)
    if model.card.multilabel:
        raise UsageError(
            model.card.name,
            "answers about each finding by itself, and this asks about one.",
            f"Name it: {argument('finding', model.labels[0])}. Findings: {', '.join(model.labels)}.",
        )
    return model


def finding_of(model: Model) -> str:
    """Return the finding that a model from `choose_finding` is about; empty where it is no multi-label model."""
    return "" if model.place is None else model.card.primary


def cases_of(manifest: Manifest, model: Model) -> Manifest:
    """Return the rows of a manifest that a model from `choose_finding` can be asked about, with its answers as labels.

    Args:
        manifest: All rows.
        model: The model.
    """
    return manifest if model.place is None else select_cases(manifest, model.card.primary)[0]
