"""`pneumoscope predict`: files and folders in, a table out, to the screen and to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pneumoscope.cli.screen import JsonScreen, TableScreen, describe_model, describe_summary, tell

if TYPE_CHECKING:
    from pneumoscope.bundle.runtime import Model
    from pneumoscope.imaging.files import ImageFiles
    from pneumoscope.inference.predict import Summary

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
    from pneumoscope.bundle.runtime import load
    from pneumoscope.core.tables import check_format
    from pneumoscope.imaging.files import describe_passed_over, find_images

    if output is not None:
        check_format(output)  # before the folders are walked and the model is loaded
    found = find_images(paths)
    loaded = load(model)
    if found.passed_over:
        tell(f"Passed over in folders: {describe_passed_over(found.passed_over)}.")
    places = Places(output, heatmaps, html)
    summary = carry_out(loaded, found, places, workers=workers, as_json=as_json)
    if summary.failed:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Places:
    """What to write, and where."""

    output: Path | None = None
    heatmaps: Path | None = None
    html: Path | None = None

    def named(self) -> dict[str, str]:
        """Return those that are asked for, by name."""
        places = {"output": self.output, "heatmaps": self.heatmaps, "html": self.html}
        return {name: str(path) for name, path in places.items() if path is not None}


def carry_out(
    model: Model,
    found: ImageFiles,
    places: Places,
    *,
    workers: int | None = None,
    as_json: bool = False,
) -> Summary:
    """Predict files, show the rows as they come, write what is asked for; return the counts.

    Args:
        model: The model.
        found: The files.
        places: What to write.
        workers: Images at once.
        as_json: JSON on stdout, words on stderr.
    """
    from pneumoscope.inference.predict import predict_files

    screen = JsonScreen(model) if as_json else TableScreen(model, limit=None if places.output is None else 20)
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

        def on_note(note: str) -> None:
            with paused():
                tell(note)

        try:
            summary = predict_files(
                model,
                found.files,
                output=places.output,
                heatmaps=places.heatmaps,
                workers=workers,
                on_row=on_row,
                on_note=on_note,
            )
        except KeyboardInterrupt as interrupt:
            kept = (
                "Nothing was kept: with -o, a stopped run can go on."
                if places.output is None
                else f"{places.output}.partial keeps them: give the same command again to go on."
            )
            raise KeyboardInterrupt(f"{done} of {len(found.files)} files were done. {kept}") from interrupt
    if places.html is not None:
        _write_page(model, found.files, places.html, workers)
    screen.end(summary, places.named(), found.passed_over)
    if as_json:
        tell(describe_model(model))
        tell(describe_summary(summary))
    return summary


def _write_page(model: Model, files: list[str], page: Path, workers: int | None) -> None:
    from pneumoscope.core.files import write_text
    from pneumoscope.inference.predict import page_items
    from pneumoscope.reporting.pages.predictions import predictions_page

    items = page_items(model, files[:PAGE_IMAGES], workers)
    title = "Predictions"
    if len(items) < len(files):
        title += f": the first {len(items)} of {len(files)} files"
    write_text(page, predictions_page(items, model.card, model.identity, title))


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
