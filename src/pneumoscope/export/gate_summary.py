"""What a card keeps of the checks of its training data."""

from __future__ import annotations

from pneumoscope.bundle.card import CheckNote, CheckSummary
from pneumoscope.data.checks.findings import CheckReport

CONFOUNDED = "confounded"
"""The stamp of a model whose labels can be told from something that is not the disease."""


def summary_of(report: CheckReport) -> CheckSummary:
    """Return what the card keeps of a report: the findings in words; the rows stay with the run (``gate.json``)."""
    return CheckSummary(
        checked=report.checked,
        data=report.data_hash,
        findings=tuple(
            CheckNote(name=f.name, severity=f.severity, sentence=f.sentence, because=f.because) for f in report.findings
        ),
    )
