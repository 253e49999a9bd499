"""What a finished search leaves behind: its page, the best recipe, and that recipe's run with its bundle."""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.inference.evaluate import Evaluation
from pneumoscope.training.plan import plan
from pneumoscope.tuning.page import study_page
from pneumoscope.tuning.result import Comparison, StudySummary
from pneumoscope.tuning.storage import claim
from pneumoscope.tuning.study import Opened
from pneumoscope.tuning.summary import best_recipe, summarise
from pneumoscope.workflows.train import train_and_release


def write_study(opened: Opened, folder: Path, comparison: Comparison | None = None) -> StudySummary:
    """Write ``study.json``, ``study.html`` and, once a trial is finished, ``best.yaml`` into ``folder``."""
    summary = summarise(opened, comparison)
    if comparison is None and (folder / "study.json").is_file():
        old = StudySummary.model_validate_json((folder / "study.json").read_text(encoding="utf-8"))
        if (old.best, old.data) == (summary.best, summary.data):  # made by an earlier command, and still true
            summary = summary.model_copy(update={"comparison": old.comparison})
    write_text(folder / "study.json", summary.to_json())
    write_text(folder / "study.html", study_page(summary))
    if (recipe := best_recipe(opened)) is not None:
        write_text(folder / "best.yaml", recipe.to_yaml())
    return summary


def train_best(opened: Opened, folder: Path, gate: CheckReport, callbacks: Callbacks = SILENT) -> Evaluation | None:
    """Train the best recipe into ``folder/best`` with its bundle and report.

    Of several workers on one study the first to come here does it, and the others leave it at that.

    Returns:
        The figures on validation; None where another worker trains it.
    """
    recipe, run = best_recipe(opened), folder / "best"
    if recipe is None:
        return None
    begun = (run / "recipe.yaml").is_file()
    if not begun and not claim(opened.storage, f"{opened.job.name}: run of {recipe.hash()}"):
        callbacks.message(
            f"another worker trains the best recipe, or began to; to train it here: train {folder / 'best.yaml'}"
        )
        return None
    made = plan(recipe, opened.job.plan.manifest)
    _, _, evaluation = train_and_release(
        made, run, device=opened.job.device, resume=begun, callbacks=callbacks, gate=gate
    )
    return evaluation
