"""`pneumoscope tune`: search a recipe's settings, and leave the best as a recipe and a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.options import Allow, AsJson, Because, RecipeArgument, Roots, accepted_findings, source_roots

if TYPE_CHECKING:
    from pneumoscope.tuning.result import StudySummary


def tune(
    recipe: RecipeArgument,
    data: Annotated[Path, typer.Option(help="The manifest, made by: data import and data split.")],
    out: Annotated[Path, typer.Option(help="The search's folder.")],
    search: Annotated[
        str | None,
        typer.Option(help="A shipped space (cnn-224, general) or a .yaml file.  [default: the recipe's own]"),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials in all, over all workers.  [default: the space's]")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="sqlite:///t.db or postgresql://...: workers that name it share the trials.  [default: in --out]"
        ),
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="tpe, random or grid.  [default: the space's]")] = None,
    objective: Annotated[
        str | None, typer.Option(help="auroc, sensitivity-at-specificity-90, log-loss, ...  [default: the space's]")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Grouped cross-validation on all but test.  [default: 5, or validation if large]"),
    ] = None,
    split: Annotated[str | None, typer.Option(help="validation: measure that part instead of folds.")] = None,
    pruner: Annotated[str, typer.Option(help="median, hyperband or none: stops unpromising trials early.")] = "median",
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    nested: Annotated[
        int | None,
        typer.Option(
            min=2, help="Then measure the search itself with this many outer folds, each with its own search."
        ),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Then measure both settings on this many new divisions into folds.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search in --out.")] = False,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Change the recipe: training.epochs=5")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds and of the sampler.")] = 0,
    name: Annotated[
        str | None, typer.Option(help="Name of the study in its database.  [default: the recipe's]")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    roots: Roots = None,
    allow: Allow = None,
    because: Because = None,
    as_json: AsJson = False,
) -> None:
    """Search the settings of a recipe on all parts but test; write the best as a recipe and a run."""
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.recipes.recipe import load_recipe
    from pneumoscope.workflows.early_checks import SearchOptions, check_search, check_tuning

    folders, allowed = source_roots(roots), accepted_findings(allow, because)
    chosen = load_recipe(recipe, sets or ())
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
    check_search(chosen, out, options)
    check_tuning(chosen, data, folders)
    from pneumoscope.workflows.tune import tune as tune_recipe

    callbacks = RichCallbacks()
    tuning = tune_recipe(
        chosen,
        data,
        out,
        roots=folders,
        search=search,
        trials=trials,
        storage=storage,
        sampler=sampler,
        objective=objective,
        folds=folds,
        split=split,
        pruner=pruner,
        workers=workers,
        nested=nested,
        repeats=repeats,
        resume=resume,
        seed=seed,
        name=name,
        device=device,
        allow=allowed,
        callbacks=callbacks,
    )
    if as_json:
        typer.echo(tuning.summary.to_json(), nl=False)
    else:
        _print_summary(tuning.summary, out)
    if tuning.run is not None:
        callbacks.message(f"run of the best: {out / 'best'}; {tuning.run.evaluation.summary}")
    callbacks.console.print(DISCLAIMER, style="dim")


def _print_summary(summary: StudySummary, out: Path) -> None:
    """Print the best trial, the recipe as it stands beside it, and what to make of it."""
    from pneumoscope.core.counts import format_count

    best, own = summary.trial(summary.best), summary.trial(summary.own)
    counts = ", ".join(f"{n} {state}" for state in ("complete", "pruned", "failed") if (n := summary.count(state)))
    typer.echo(f"{format_count(len(summary.trials), 'trial')}: {counts}.")
    if best is not None:
        typer.echo(f"best: trial {best.number}, {summary.objective} {best.objective}: {' '.join(summary.changes)}")
        typer.echo("  Optimistic: the images measured are those that chose it.")
    if own is not None and own.objective is not None:
        typer.echo(f"as it stands: trial {own.number}, {summary.objective} {own.objective}")
    if summary.comparison is not None:
        typer.echo(f"tuned minus untuned, measured again: {summary.comparison.difference}")
        for row in summary.comparison.at_precision:
            before, after = ("not reached" if n is None else f"{n} missed" for n in (row.before, row.after))
            missed = f"{before} as it stands, {after} tuned, of {summary.comparison.positives}"
            typer.echo(f"  at precision {row.precision:.2f}: {missed}")
    for stamp in summary.stamps:
        typer.echo(stamp)
    typer.echo(f"{summary.group_sentence} Page: {out / 'study.html'}; recipe: {out / 'best.yaml'}")
