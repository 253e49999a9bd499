"""`pneumoscope train`: from a recipe and a manifest to a run with its bundle and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.options import Allow, Because


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see: recipes list) or a .yaml file.")],
    data: Annotated[Path, typer.Option(help="The manifest, made by: data import and data split.")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    sets: Annotated[list[str] | None, typer.Option("--set", help="Change the recipe: optimizer.lr=1e-4")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last whole epoch.")] = False,
    root: Annotated[list[str] | None, typer.Option(help="SOURCE=DIR: where a source's images lie now.")] = None,
    name: Annotated[str | None, typer.Option(help="The bundle's name; the recipe's by default.")] = None,
    allow: Allow = None,
    because: Because = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse where the data gate only warns.")] = False,
) -> None:
    """Train a network, calibrate it and write its bundle, with the validation part's figures."""
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.recipes.recipe import load_recipe

    chosen = load_recipe(recipe, sets or ())  # before torch is loaded: a misspelt key should not take five seconds
    from pneumoscope.cli.options import read_manifest_at
    from pneumoscope.data.checks.catalogue import CHECKS
    from pneumoscope.data.checks.findings import reasons
    from pneumoscope.training.distributed.ranks import Ranks
    from pneumoscope.training.plan import plan
    from pneumoscope.workflows.admission import admit
    from pneumoscope.workflows.train import train_and_release

    allowed = reasons(allow or (), because or (), list(CHECKS))
    ranks = Ranks.here()
    callbacks = RichCallbacks(quiet=not ranks.first)
    made = plan(chosen, read_manifest_at(data, root))
    for line in (*made.recipe.changes, *made.notes):
        callbacks.message(f"note: {line}")
    counts = ", ".join(f"{part} {len(made.manifest.part(part))}" for part in made.manifest.parts_present)
    callbacks.message(f"{made.recipe.name}: {', '.join(made.recipe.task.classes)}; images: {counts}")
    if not ranks.alone:
        least, more = divmod(made.recipe.training.batch_size, ranks.world)
        callbacks.message(
            f"{ranks.world} processes share each batch of {made.recipe.training.batch_size}: "
            f"{least}{f' or {least + 1}' if more else ''} images each"
        )
    gate = admit(made, allowed=allowed, strict=strict, callbacks=callbacks) if ranks.first else None
    run, bundle, evaluation = train_and_release(
        made, out, device=device, resume=resume, callbacks=callbacks, name=name, gate=gate
    )
    overall = evaluation.figures.overall
    primary = evaluation.figures.by_class[made.recipe.task.classes[0]]
    callbacks.message(
        f"validation ({evaluation.figures.images} images): accuracy {overall['accuracy']}, "
        f"AUROC of {made.recipe.task.classes[0]} {primary['auroc']}. {evaluation.group_sentence}"
    )
    callbacks.message(f"kept epoch {run.epoch}; bundle {bundle}; report {out / 'report.html'}")
    callbacks.console.print(DISCLAIMER, style="dim")
