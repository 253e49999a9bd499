"""A search for settings as a list of steps: plan, check, search, compare with the untuned recipe, train the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pneumoscope.core.arguments import check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.recipes.recipe import Recipe, load_recipe
from pneumoscope.training.plan import make_plan
from pneumoscope.tuning.cross_validation import choose_folds
from pneumoscope.tuning.nested_cv import compare_nested, compare_repeated
from pneumoscope.tuning.page import render_search_page
from pneumoscope.tuning.result import StudySummary, TuningComparison
from pneumoscope.tuning.search_files import check_networks, load_search
from pneumoscope.tuning.storage import claim, default_url
from pneumoscope.tuning.study import SearchJob, StudySession
from pneumoscope.tuning.study import search as run_search
from pneumoscope.tuning.summary import best_recipe, find_best, summarise
from pneumoscope.workflows.data_checks import check_plan
from pneumoscope.workflows.datasets import ManifestInput, Roots
from pneumoscope.workflows.early_checks import SearchOptions, check_search
from pneumoscope.workflows.inputs import RecipeInput, prepare_plan, reasons_of, recipe_of
from pneumoscope.workflows.train import Run, train_plan


@dataclass(frozen=True)
class Tuning:
    """A finished search.

    Args:
        folder: With ``study.json``, ``study.html``, ``best.yaml`` and the best recipe's run in ``best``.
        summary: Trials, the best of them, the comparison with the untuned recipe.
        run: Of the best recipe; None where another worker trains it.
    """

    folder: Path
    summary: StudySummary
    run: Run | None

    def __repr__(self) -> str:
        """Return where the search is and what it found."""
        best = self.summary.trial(self.summary.best)
        figure = (
            "no finished trial" if best is None else f"trial {best.number}, {self.summary.objective} {best.objective}"
        )
        return f"Tuning({str(self.folder)!r}: {len(self.summary.trials)} trials; best: {figure})"


@check_arguments
def tune(
    recipe: RecipeInput,
    data: ManifestInput,
    out: str | Path,
    *,
    search: str | None = None,
    trials: int | None = None,
    storage: str | None = None,
    sampler: str | None = None,
    objective: str | None = None,
    folds: int | None = None,
    split: str | None = None,
    pruner: str = "median",
    workers: int = 1,
    nested: int | None = None,
    repeats: int | None = None,
    resume: bool = False,
    sets: Sequence[str] = (),
    roots: Roots | None = None,
    seed: int = 0,
    name: str | None = None,
    device: str = "auto",
    allow: Mapping[str, str] | None = None,
    callbacks: Callbacks = SILENT,
) -> Tuning:
    """Search the settings of a recipe on everything but the test part; leave the best as a recipe and a run.

    Args:
        recipe: A recipe, the name of a shipped one, or the path of a YAML file.
        data: A manifest in parts, or the path of its file.
        out: The search's folder.
        search: Name of a shipped space or path of a YAML file; the recipe's own by default.
        trials: In all, over all workers; the space's number by default.
        storage: ``sqlite:///t.db`` or ``postgresql://...``; a file in ``out`` by default. Every process that names the
            same storage takes part in the search.
        sampler: ``tpe``, ``random`` or ``grid``; the space's by default.
        objective: Such as ``auroc`` or ``log-loss``; the space's by default. Of several findings an image these two are
            the mean AUROC of the findings and the mean loss of all stated answers, and there is no other.
        folds: Of a grouped cross-validation on all but test; 5 by default, or the validation part if it is large.
        split: "validation" measures that part instead of folds.
        pruner: ``median``, ``hyperband`` or ``none``: stops unpromising trials early.
        workers: Processes on this machine.
        nested: Outer folds that judge the search afterwards, each with a search of its own.
        repeats: New divisions into folds on which both settings are measured afterwards.
        resume: Go on with the search that is there.
        sets: Changes of the recipe, such as ``training.epochs=5``.
        roots: Source -> folder where its images lie now.
        seed: Of folds and sampler.
        name: Of the study in its database; the recipe's by default.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        allow: Name of a data check -> why its finding is accepted.
        callbacks: Receive messages and progress.

    Returns:
        The search: its trials, the best of them, and the run of the best recipe.

    Raises:
        UsageError: An unknown name, a number below its least, or options that exclude each other.
        RecipeError: The recipe contradicts the data, or refuses a setting of the space.
        CheckRefusedError: A data check blocks and is not allowed; nothing was trained.
        RunError: The folder holds something else, or no trial came to an end.
        KeyboardInterrupt: The user stopped it; it can be resumed. After SIGTERM it is a `TerminationRequest`.

    Example:
        >>> tuning = ps.tune("cnn-224", "manifest.parquet", "runs/tuned", trials=20)
        >>> tuning.summary.best
    """
    check_least(1, trials=trials, workers=workers, repeats=repeats)
    check_least(2, folds=folds, nested=nested)
    check_least(0, seed=seed)
    folder, allowed, chosen = Path(out), reasons_of(allow), recipe_of(recipe, sets)
    options = SearchOptions(
        search=search,
        storage=storage,
        sampler=sampler,
        objective=objective,
        pruner=pruner,
        folds=folds,
        split=split,
        nested=nested,
        repeats=repeats,
        device=device,
        resume=resume,
    )
    check_search(chosen, folder, options)
    space = load_search(search, chosen)
    base = prepare_plan(chosen, data, roots=roots, callbacks=callbacks)
    check_networks(space, base.recipe)
    job = SearchJob(
        plan=base,
        search=space,
        name=name or chosen.name,
        url=storage or default_url(folder),
        trials=trials or space.trials,
        sampler=sampler or space.sampler,
        objective=objective or space.objective,
        folds=choose_folds(base, folds, split),
        pruner=pruner,
        seed=seed,
        device=device,
    )
    _report_job(job, callbacks)
    checks = check_plan(base, allowed=allowed, callbacks=callbacks)
    session = run_search(job, workers, callbacks)
    write_study(session, folder)
    comparison = _compare_settings(session, nested, repeats, workers, callbacks)
    summary = write_study(session, folder, comparison)
    return Tuning(folder, summary, train_best(session, folder, checks, callbacks))


def _report_job(job: SearchJob, callbacks: Callbacks) -> None:
    """Report what is searched and how it is measured."""
    measurement = f"grouped {job.folds}-fold cross-validation on all but test" if job.folds else "the validation part"
    size = "an unlimited number of" if job.search.size is None else f"{job.search.size:,}"
    callbacks.message(
        f"note: search {job.search.name}: {size} settings, {job.sampler}, by {job.objective} of {measurement}"
    )
    if job.search.size is not None and job.search.size < job.trials:
        callbacks.message(f"note: the space has only {job.search.size} settings: there are no more trials than that")


def _compare_settings(
    session: StudySession, nested: int | None, repeats: int | None, workers: int, callbacks: Callbacks
) -> TuningComparison | None:
    """Compare the tuned recipe with the untuned one, if that was asked for and they differ."""
    if nested:
        return compare_nested(session.job, nested, workers, callbacks)
    best = find_best(session)
    if not repeats or best is None:
        return None
    if best.params == session.job.search.own_point(session.job.plan.recipe):
        callbacks.message("the recipe as it stands is the best trial: nothing to compare")
        return None
    return compare_repeated(session, dict(best.params), repeats, callbacks)


def write_study(session: StudySession, folder: Path, comparison: TuningComparison | None = None) -> StudySummary:
    """Write ``study.json``, ``study.html`` and, once a trial is finished, ``best.yaml`` into ``folder``."""
    summary = summarise(session, comparison)
    if comparison is None and (folder / "study.json").is_file():
        old = StudySummary.model_validate_json((folder / "study.json").read_text(encoding="utf-8"))
        if (old.best, old.data) == (summary.best, summary.data):  # an earlier command wrote it, and it is still true
            summary = summary.model_copy(update={"comparison": old.comparison})
    write_text(folder / "study.json", summary.to_json())
    write_text(folder / "study.html", render_search_page(summary))
    if (recipe := best_recipe(session)) is not None:
        write_text(folder / "best.yaml", recipe.to_yaml())
    return summary


def train_best(session: StudySession, folder: Path, checks: CheckReport, callbacks: Callbacks = SILENT) -> Run | None:
    """Train the best recipe into ``folder/best`` with its bundle and report.

    Of several workers on one study the first one that arrives here trains it. Where a shorter search left a run there
    with other settings, that run stays, and this one goes into ``best-2``.

    Returns:
        The run; None where another worker trains it.
    """
    recipe = best_recipe(session)
    if recipe is None:
        return None
    tuned = make_plan(recipe, session.job.plan.manifest)
    run, earlier = _run_of_best(tuned.recipe, folder)
    if run.name != "best":
        callbacks.message(f"{folder / 'best'} holds the best of a shorter search; the run of the best is {run}")
    begun = earlier is not None
    if earlier is not None:  # the note says how many trials there were when it was trained
        tuned = replace(tuned, recipe=tuned.recipe.model_copy(update={"notes": earlier.notes}))
    if not begun and not claim(session.storage, f"{session.job.name}: run of {recipe.hash()}"):
        callbacks.message(
            f"another worker trains the best recipe, or began to; to train it here, run: train {folder / 'best.yaml'}"
        )
        return None
    return train_plan(tuned, checks, run, device=session.job.device, resume=begun, callbacks=callbacks)


def _run_of_best(recipe: Recipe, folder: Path) -> tuple[Path, Recipe | None]:
    """Return the folder for the run of a recipe, and the recipe of a run that was begun there.

    Args:
        recipe: The best one, as a run keeps it.
        folder: The search's folder.
    """
    run = folder / "best"
    while (run / "recipe.yaml").is_file():
        earlier = load_recipe(str(run / "recipe.yaml"))
        if earlier.model_copy(update={"notes": recipe.notes}) == recipe:
            return run, earlier
        number = int(run.name.partition("-")[2] or 1) + 1
        run = folder / f"best-{number}"
    return run, None
