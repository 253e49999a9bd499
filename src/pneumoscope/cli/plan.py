"""`pneumoscope plan`: how many patients does a study of a model need?"""

from __future__ import annotations

from typing import Annotated

import typer

from pneumoscope.cli.options import AsJson


def plan(
    auroc: Annotated[float, typer.Option(help="AUROC that is expected.", metavar="SHARE")],
    prevalence: Annotated[
        float, typer.Option(help="Share of the recruited patients who have the disease.", metavar="SHARE")
    ],
    sensitivity: Annotated[
        float | None, typer.Option(help="Sensitivity that is expected at the threshold.", metavar="SHARE")
    ] = None,
    specificity: Annotated[
        float | None, typer.Option(help="Specificity that is expected at the threshold.", metavar="SHARE")
    ] = None,
    width: Annotated[
        float, typer.Option(help="Width of the 95% intervals of AUROC, sensitivity, specificity.", metavar="SHARE")
    ] = 0.1,
    least_auroc: Annotated[
        float | None, typer.Option(help="What the AUROC's lower limit must exceed.", metavar="SHARE")
    ] = None,
    least_sensitivity: Annotated[
        float | None, typer.Option(help="What the sensitivity's lower limit must reach.", metavar="SHARE")
    ] = None,
    least_specificity: Annotated[
        float | None, typer.Option(help="What the specificity's lower limit must reach.", metavar="SHARE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many patients a validation needs, by aim: AUROC, calibration, sensitivity and specificity."""
    from rich import box
    from rich.table import Table

    from pneumoscope.cli.formatting import print_json, wide_console
    from pneumoscope.workflows.study_plan import plan_study

    study = plan_study(
        auroc=auroc,
        prevalence=prevalence,
        sensitivity=sensitivity,
        specificity=specificity,
        width=width,
        least_auroc=least_auroc,
        least_sensitivity=least_sensitivity,
        least_specificity=least_specificity,
    )
    if as_json:
        print_json(study.to_json())
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("aim", "patients", "in all", "source"):
        table.add_column(head, justify="right" if head in ("patients", "in all") else "left", overflow="fold")
    for aim in study.aims:
        needed = "no number" if aim.needed is None else f"{aim.needed:,}{'' if aim.of == 'all' else f' {aim.of}'}"
        table.add_row(aim.aim, needed, "–" if aim.total is None else f"{aim.total:,}", aim.source)
    console = wide_console(120)
    console.print(table)
    if study.total is None:
        console.print("No number of patients meets all aims: what is expected must exceed each least value.")
    else:
        console.print(f"All aims need {study.total:,} patients, of whom {100 * prevalence:.4g}% have the disease.")
    console.print("They are independent patients with one image each: more images of a patient add less than patients.")
