"""The data gate before a training: what it found goes on the card, what blocks stops it here.

Before the first step and not after the last: a model that is measured on its own training images costs its hours for
nothing, and its figures are quoted all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.data.checks.runner import check
from pneumoscope.training.plan import Plan


def admit(
    plan: Plan, *, allowed: Mapping[str, str] | None = None, strict: bool = False, callbacks: Callbacks = SILENT
) -> CheckReport:
    """Put the gate's questions to the images and classes of a plan.

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
    with ExitStack() as tasks:

        def progress(what: str, total: int) -> Callable[[int], None]:
            name = f"data checks: {what}"
            tasks.callback(callbacks.finish, name)
            return lambda done: callbacks.progress(name, done, total)

        report = check(plan.manifest, classes, progress=progress).allowing(allowed or {})
    report.require(strict)
    for finding in report.findings:
        if finding.severity != "note":
            callbacks.message(f"data checks: {finding.name}: {finding.sentence}")
            if finding.because is not None:
                callbacks.message(f"  allowed, because: {finding.because}")
    return report
