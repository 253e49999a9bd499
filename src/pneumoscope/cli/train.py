"""`pneumoscope train`: from a recipe and a manifest to a run with its bundle and report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.options import Allow, Because, RecipeArgument, Roots, accepted_findings, source_roots


def train(
    recipe: RecipeArgument,
    data: Annotated[Path, typer.Option(help="The manifest, made by: data import and data split.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    sets: Annotated[list[str] | None, typer.Option("--set", help="Change the recipe: optimizer.lr=1e-4")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last whole epoch.")] = False,
    roots: Roots = None,
    name: Annotated[str | None, typer.Option(help="The bundle's name; the recipe's by default.")] = None,
    allow: Allow = None,
    because: Because = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at warnings of the data checks too.")] = False,
) -> None:
    """Train a network, calibrate it and write its bundle, with the validation part's figures."""
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.workflows.early_checks import check_training

    folders, allowed = source_roots(roots), accepted_findings(allow, because)
    # Of several processes, the first may have made the folder already.
    resumes = resume or "TORCHELASTIC_RUN_ID" in os.environ
    chosen = check_training(recipe, data, out, sets=sets or (), device=device, resume=resumes, roots=folders, name=name)
    from pneumoscope.workflows.train import train as train_recipe

    callbacks = RichCallbacks()
    run = train_recipe(
        chosen,
        data,
        out,
        roots=folders,
        device=device,
        resume=resume,
        name=name,
        allow=allowed,
        strict=strict,
        callbacks=callbacks,
    )
    callbacks.message(f"{run.evaluation.summary} {run.evaluation.group_sentence}")
    callbacks.message(f"kept epoch {run.kept_epoch}; bundle {run.bundle}; report {out / 'report.html'}")
    callbacks.console.print(DISCLAIMER, style="dim")
