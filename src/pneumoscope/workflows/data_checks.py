"""The data checks before a training: findings go on the card, and a finding that blocks stops the training here.

They come before the first step and not after the last one: a model that is measured on its own training images costs
its hours for nothing, and its figures are quoted all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.data.checks.context import build_context
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.data.checks.runner import check, run_checks
from pneumoscope.data.manifest import Manifest
from pneumoscope.training.plan import Plan
from pneumoscope.workflows.progress import task_starter


def check_plan(
    plan: Plan, *, allowed: Mapping[str, str] | None = None, strict: bool = False, callbacks: Callbacks = SILENT
) -> CheckReport:
    """Run the data checks on the images and classes of a plan.

    Args:
        plan: Recipe and data that fit each other.
        allowed: Check -> why its finding is accepted (``--allow NAME --because TEXT``).
        strict: Warnings stop the training, too.
        callbacks: Receive findings and progress.

    Raises:
        CheckRefusedError: A finding blocks and is not allowed.
        ManifestError: The folder of a source is not there.
    """
    task = plan.recipe.task
    classes = {str(label): str(task.class_of(label)) for label in set(plan.manifest.table.label)}
    with task_starter(callbacks) as start:
        report = check(
            plan.manifest, classes, progress=lambda check_name, total: start(f"data checks: {check_name}", total)
        )
    report = report.allowing(allowed or {})
    _require(report, strict, callbacks)
    return report


_OUTLINE_CHECKS = (
    "unreadable", "altered", "constant", "duplicates-across-parts", "patients-across-parts", "shared-images",
)  # fmt: skip
"""Checks of files and of leaks; the others ask about labels, which outlines do not learn."""


def check_outlines(
    manifest: Manifest, *, allowed: Mapping[str, str] | None = None, callbacks: Callbacks = SILENT
) -> CheckReport:
    """Run the data checks that matter to a training of outlines.

    Args:
        manifest: The images in two parts: those to learn from, and ``test``.
        allowed: Check -> why its finding is accepted.
        callbacks: Receive findings and progress.

    Raises:
        CheckRefusedError: A finding blocks and is not allowed.
        ManifestError: The folder of a source is not there.
    """
    with task_starter(callbacks) as start:
        context = build_context(manifest, progress=lambda check_name, total: start(f"data checks: {check_name}", total))
        report = run_checks(context, names=_OUTLINE_CHECKS).allowing(allowed or {})
    _require(report, False, callbacks)
    return report


def _require(report: CheckReport, strict: bool, callbacks: Callbacks) -> None:
    """Raise where a finding stops the training, and report the others that are more than a note."""
    report.require(strict)
    for finding in report.findings:
        if finding.severity != "note":
            callbacks.message(f"data checks: {finding.name}: {finding.sentence}")
            if finding.because is not None:
                callbacks.message(f"  allowed, because: {finding.because}")
