"""`pneumoscope predict`: files and folders in, a table out, to the screen and to a file."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from pneumoscope.cli.formatting import print_note
from pneumoscope.cli.options import Address, AsJson, Depth, EngineName, Workers
from pneumoscope.cli.prediction_output import JsonOutput, TableOutput, describe_model, describe_summary


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Images, DICOM files, folders, or their s3:// or gs:// URLs"),
    ],
    model: Annotated[str, typer.Option(help="A bundle's folder.", metavar="BUNDLE")] = "builtin",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the table: .parquet, .csv or .jsonl.")
    ] = None,
    heatmaps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write an overlay (PNG) of each answered image into this folder.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page with pictures.")] = None,
    workers: Workers = None,
    depth: Depth = None,
    gatekeeper: Annotated[
        bool,
        typer.Option(
            "--gatekeeper/--no-gatekeeper", help="Refuse what is no upright frontal chest, or answer about anything."
        ),
    ] = True,
    score_refused: Annotated[
        bool, typer.Option("--score-refused", help="Give the scores of images that the gatekeeper refuses, too.")
    ] = False,
    engine: EngineName = "local",
    runtime: Annotated[
        str, typer.Option(help="The library that runs the model's graph.", metavar="onnxruntime|openvino")
    ] = "onnxruntime",
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Predict radiographs: PNG, JPEG, WebP, TIFF and DICOM, in files and folders.

    A file that cannot be read keeps its row, with the reason; the exit code is then 1. With -o, a run that was stopped
    goes on where it was when the same command is given again.
    """
    from pneumoscope.bundle.runtime import load
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.core.engines import check_engine
    from pneumoscope.core.tables import check_format
    from pneumoscope.workflows.predict import predict as predict_paths

    if output is not None:
        check_format(output)  # before the model is loaded
    check_engine(engine, address)
    loaded = load(model, gatekeeper=gatekeeper, runtime=runtime)
    screen = JsonOutput(loaded) if as_json else TableOutput(loaded, limit=None if output is None else 20)
    callbacks = RichCallbacks()
    begun = False

    def begin() -> None:
        nonlocal begun
        if not begun:
            screen.begin()
        begun = True

    def show(row: dict[str, Any], resumed: bool) -> None:
        begin()
        with callbacks.paused() if row["error"] is not None else nullcontext():
            block_is_full = screen.add(row)
        if block_is_full:
            with callbacks.paused():
                screen.flush()

    summary = predict_paths(
        paths,
        loaded,
        output=output,
        heatmaps=heatmaps,
        html=html,
        workers=workers,
        depth=depth,
        score_refused=score_refused,
        engine=engine,
        address=address,
        on_row=show,
        callbacks=callbacks,
    )
    begin()
    places = {"output": output, "heatmaps": heatmaps, "html": html}
    screen.end(summary, {name: str(path) for name, path in places.items() if path is not None})
    if as_json:
        print_note(describe_model(loaded))
        print_note(describe_summary(summary))
    if summary.failed:
        raise typer.Exit(1)
