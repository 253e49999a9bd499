"""The data gate before a training: what it found goes on the card, what blocks stops it here.

Before the first step and not after the last: a model that is measured on its own training images costs its hours for
nothing, and its figures are quoted all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import Progress

from pneumoscope.data.checks.findings import GateReport
from pneumoscope.data.checks.runner import check
from pneumoscope.training.plan import Plan


def admit(
    plan: Plan, *, allowed: Mapping[str, str] | None = None, strict: bool = False, console: Console
) -> GateReport:
    """Put the gate's questions to the images and classes of a plan.

    Args:
        plan: Recipe and data that fit each other.
        allowed: Check -> why its finding is accepted (``--allow NAME --because TEXT``).
        strict: Warnings stop the training, too.
        console: Where findings and progress go.

    Raises:
        GateRefusedError: A finding blocks and is not allowed.
        ManifestError: The folder of a source is not there.
    """
    task = plan.recipe.task
    classes = {str(label): str(task.class_of(label)) for label in set(plan.manifest.table.label)}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:

        def progress(what: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(f"data gate: {what}", total=total)
            return lambda done: bars.update(task, completed=done)

        report = check(plan.manifest, classes, progress=progress).allowing(allowed or {})
    report.require(strict)
    for finding in report.findings:
        if finding.severity != "note":
            console.print(f"data gate: {finding.name}: {finding.sentence}", markup=False)
            if finding.because is not None:
                console.print(f"  allowed, because: {finding.because}", markup=False)
    return report
