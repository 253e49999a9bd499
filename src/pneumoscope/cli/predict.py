"""`pneumoscope predict`: files and folders in, a table out, to the screen and to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pneumoscope.cli.screen import JsonScreen, TableScreen, describe_model, describe_summary, tell

if TYPE_CHECKING:
    from pneumoscope.infer import Model

PAGE_IMAGES = 200
"""Most studies on a page with pictures: about 30 kB each."""


def predict(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Images, DICOM files and folders.")],
    model: Annotated[str, typer.Option(help="A bundle's folder.", metavar="BUNDLE")] = "builtin",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the table: .parquet, .csv or .jsonl.")
    ] = None,
    heatmaps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write an overlay (PNG) of each answered image into this folder.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page with pictures.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Images at once.  [default: the cores]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict radiographs: PNG, JPEG, WebP, TIFF and DICOM, in files and folders.

    A file that cannot be read keeps its row, with the reason; the exit code is then 1. With -o, a run that was stopped
    goes on where it was when the same command is given again.
    """
    from pneumoscope.infer import load
    from pneumoscope.predict import describe_passed_over, find_images, predict_files
    from pneumoscope.tables import check_format

    if output is not None:
        check_format(output)  # before the model is loaded and the folders are walked
    found = find_images(paths)
    loaded = load(model)
    if found.passed_over:
        tell(f"Passed over in folders: {describe_passed_over(found.passed_over)}.")
    screen: JsonScreen | TableScreen
    screen = JsonScreen(loaded) if as_json else TableScreen(loaded, limit=None if output is None else 20)
    screen.begin()
    done = 0
    with _progress(len(found.files)) as (advance, paused):

        def on_row(row: dict[str, Any], resumed: bool) -> None:
            nonlocal done
            done += 1
            with paused() if row["error"] is not None else nullcontext():
                ready = screen.add(row)
            if ready:
                with paused():
                    screen.flush()
            advance()

        try:
            summary = predict_files(
                loaded,
                found.files,
                output=output,
                heatmaps=heatmaps,
                workers=workers,
                on_row=on_row,
                on_note=lambda note: _between(paused, note),
            )
        except KeyboardInterrupt as interrupt:
            kept = (
                "Nothing was kept: with -o, a stopped run can go on."
                if output is None
                else f"{output.name}.partial keeps them; the same command goes on from there."
            )
            raise KeyboardInterrupt(f"{done} of {len(found.files)} files were done. {kept}") from interrupt
    written = {"output": output, "heatmaps": heatmaps, "html": html}
    if html is not None:
        write_page(loaded, found.files, html, workers)
    screen.end(summary, {name: str(path) for name, path in written.items() if path is not None}, found.passed_over)
    if as_json:
        tell(describe_model(loaded))
        tell(describe_summary(summary))
    if summary.failed:
        raise typer.Exit(1)


def write_page(model: Model, files: list[str], page: Path, workers: int | None = None) -> None:
    """Write the self-contained HTML page of the first `PAGE_IMAGES` files."""
    from pneumoscope.files import write_text
    from pneumoscope.predict import page_items
    from pneumoscope.report.page import predictions_page

    items = page_items(model, files[:PAGE_IMAGES], workers)
    title = "Predictions" if len(items) == len(files) else f"Predictions: the first {len(items)} of {len(files)} files"
    write_text(page, predictions_page(items, model.card, model.identity, title))


def _between(paused: Callable[[], Any], note: str) -> None:
    with paused():
        tell(note)


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[], None], Callable[[], Any]]]:
    """Yield a function that advances the bar on stderr, and a context in which the terminal is free for other lines.

    Without a terminal there is no bar: a log file does not want one.
    """
    if not sys.stderr.isatty():
        yield (lambda: None), nullcontext
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("Predicting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("predict", total=total, rate="")

    def advance() -> None:
        bar.advance(task)
        speed = bar.tasks[0].speed
        bar.update(task, rate=f"{speed:.0f} images/s" if speed else "")

    @contextmanager
    def paused() -> Iterator[None]:
        bar.stop()
        try:
            yield
        finally:
            bar.start()

    with bar:
        yield advance, paused
