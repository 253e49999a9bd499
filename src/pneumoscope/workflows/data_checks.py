"""The data checks before a training: findings go on the card, and a finding that blocks stops the training here.

They come before the first step and not after the last one: a model that is measured on its own training images costs
its hours for nothing, and its figures are quoted all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.data.checks.runner import check
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
    report.require(strict)
    for finding in report.findings:
        if finding.severity != "note":
            callbacks.message(f"data checks: {finding.name}: {finding.sentence}")
            if finding.because is not None:
                callbacks.message(f"  allowed, because: {finding.because}")
    return report
