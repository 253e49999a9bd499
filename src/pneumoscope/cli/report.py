"""`pneumoscope report`: the report of a run or a bundle as one page, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.options import Examples, IgnoreOther, Part, Roots, Workers, command_line, source_roots


def report(
    run: Annotated[
        str, typer.Argument(help="A run's or a bundle's folder, or: builtin, opacity, covid.", metavar="RUN")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page.  [default: report.html in the run, else here]")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Measure on this manifest, else the run's figures stand.", metavar="MANIFEST"),
    ] = None,
    split: Part = "validation",
    examples: Examples = None,
    check_data: Annotated[
        bool, typer.Option("--checks", help="Run the data checks on all images of MANIFEST.")
    ] = False,
    roots: Roots = None,
    ignore_other: IgnoreOther = False,
    recalibrate: Annotated[
        bool, typer.Option("--recalibrate", help="Give figures of recalibrated probabilities too (another site).")
    ] = False,
    workers: Workers = None,
) -> None:
    """Write the report of a run: question, data, training, results, calibration, limits, checklists; one file.

    Without --data nothing is measured and no image is read. A bundle alone, such as the built-in one, then shows what
    its card and its evidence say.
    """
    from pneumoscope.workflows.early_checks import check_evaluation

    folders = source_roots(roots)
    check_evaluation(run, data, split)
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.report import report as write_report

    write_report(
        run,
        output,
        data=data,
        part=split,
        examples=examples,
        check_data=check_data,
        roots=folders,
        ignore_other=ignore_other,
        recalibrate=recalibrate,
        workers=workers,
        command=command_line(),
        callbacks=RichCallbacks(),
    )
