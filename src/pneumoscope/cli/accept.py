"""`pneumoscope accept`: whether a bundle does at a department what the department asked of it before it looked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import escape_markup, print_note, wide_console
from pneumoscope.cli.options import AsJson, Finding, IgnoreOther, Roots, Workers, command_line, source_roots

if TYPE_CHECKING:
    from pneumoscope.acceptance.result import Acceptance

COLOURS = {"go": "green", "no-go": "red", "insufficient": "yellow"}


def accept(
    bundle: Annotated[
        str, typer.Argument(help="A bundle's or a run's folder, or: builtin, opacity, covid.", metavar="BUNDLE")
    ],
    data: Annotated[Path, typer.Option(help="The manifest of the department's cases (Parquet).", metavar="MANIFEST")],
    sampling: Annotated[
        str,
        typer.Option(help="consecutive (every patient who came) or enriched (somebody chose how many have it)."),
    ],
    reference: Annotated[str, typer.Option(help="The reference standard, in words.", metavar="TEXT")],
    window_days: Annotated[int, typer.Option(help="Most days between radiograph and reference.", metavar="DAYS")],
    min_sensitivity: Annotated[float, typer.Option(help="Least lower limit of the sensitivity.")] = 0.85,
    min_specificity: Annotated[float, typer.Option(help="Least lower limit of the specificity.")] = 0.60,
    min_auroc: Annotated[float, typer.Option(help="Least lower limit of the AUROC.")] = 0.80,
    target_sensitivity: Annotated[float, typer.Option(help="What the threshold is refitted to.")] = 0.95,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for acceptance.json, acceptance.html and plan.json.")
    ] = None,
    split: Annotated[str, typer.Option(help="all, validation or calibration; never train or test.")] = "all",
    ignore_other: IgnoreOther = False,
    roots: Roots = None,
    seed: Annotated[int, typer.Option(min=0, help="Deals patients to folds.")] = 0,
    workers: Workers = None,
    finding: Finding = None,
    as_json: AsJson = False,
) -> None:
    """Find out on a department's own labelled cases whether a bundle does what the department asks of it.

    What is asked is written down before the first image is scored. The verdict is go, no-go or insufficient (fewer than
    100 patients with, or without, disease). The exit code is 3 where it is no-go.
    """
    from pneumoscope.bundle.runtime import load
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.accept import JSON, PAGE
    from pneumoscope.workflows.accept import accept as accept_bundle

    result = accept_bundle(
        load(bundle),
        data,
        out,
        sampling=sampling,
        reference=reference,
        window_days=window_days,
        min_sensitivity=min_sensitivity,
        min_specificity=min_specificity,
        min_auroc=min_auroc,
        target_sensitivity=target_sensitivity,
        part=split,
        ignore_other=ignore_other,
        finding=finding,
        roots=source_roots(roots),
        seed=seed,
        workers=workers,
        command=command_line(),
        callbacks=RichCallbacks(),
    )
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        show(result)
    if out is not None:
        print_note(f"Wrote {out / PAGE} and {out / JSON}.")
    if result.verdict == "no-go":
        raise typer.Exit(3)


def show(acceptance: Acceptance) -> None:
    """Print an acceptance: the verdict, what was stated before, and the figures that it rests on."""
    from rich import box
    from rich.table import Table

    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.workflows.accept import describe_advice

    console, plan = wide_console(120), acceptance.plan
    console.print(f"[bold]{acceptance.model}[/] ({plan.bundle[:12]}): {acceptance.images} images of", end=" ")
    console.print(f"{acceptance.patients_with} patients with and {acceptance.patients_without} without disease")
    console.print(f"[bold {COLOURS[acceptance.verdict]}]{acceptance.verdict}[/]: ", end="")
    console.print(acceptance.reason, markup=False)
    for note in acceptance.notes:
        console.print(f"Note: {note}", markup=False, style="yellow")
    console.print(
        f"Stated {plan.time}: {plan.sampling} sampling; reference {plan.reference}, within {plan.window_days} days.",
        markup=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("figure", "all images", "answered images", "lower limit at least", "holds"):
        table.add_column(head, overflow="fold")
    for one in acceptance.criteria:
        holds = {True: "yes", False: "no", None: "not known"}[one.holds]
        table.add_row(one.title, escape_markup(one.figure), escape_markup(one.answered), f"{one.minimum:g}", holds)
    console.print(table)
    threshold = "too few answers" if acceptance.threshold is None else f"{acceptance.threshold:.4f}"
    console.print(f"Refitted threshold {threshold}; the card's {acceptance.card_threshold:.4f}.", markup=False)
    reasons = "; ".join(f"{code} {escape_markup(share)}" for code, share in acceptance.refused_for.items())
    console.print(f"Refused: {escape_markup(acceptance.refused)}" + (f"; {reasons}" if reasons else ""), markup=False)
    slope, intercept = acceptance.calibration_slope, acceptance.calibration_intercept
    more = f", intercept {escape_markup(intercept)}" if intercept is not None else ""
    console.print(f"Calibration: slope {escape_markup(slope)}{more}", markup=False)
    if acceptance.ppv is not None and acceptance.npv is not None:
        console.print(f"PPV {escape_markup(acceptance.ppv)}, NPV {escape_markup(acceptance.npv)} here.", markup=False)
    else:
        console.print("No PPV and no NPV: enriched sampling has a share of disease that somebody chose.")
    console.print("Patients that each aim needs:")
    for line in describe_advice(acceptance):
        console.print(f"  {line}", markup=False)
    console.print(acceptance.group_sentence)
    console.print(DISCLAIMER, style="dim")
