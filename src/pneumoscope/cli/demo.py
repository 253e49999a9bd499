"""`pneumoscope demo`: the built-in model on drawn studies, or on one's own, as a page in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.predict import Places, carry_out
from pneumoscope.cli.screen import tell

STUDIES = ("normal", "covid-19", "viral-pneumonia", "lung-opacity", "normal", "covid-19")
"""Labels of the drawn studies, each of another patient; one in three is written as DICOM."""


def demo(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Images, DICOM files and folders of your own.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for what the demo makes.")] = Path("demo"),
    model: Annotated[str, typer.Option(help="A bundle's folder.", metavar="BUNDLE")] = "builtin",
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """See it work: predict studies with the built-in model and open the page of results.

    Without PATH the studies are drawn: they show no patient, and how a model does on them says nothing about patients.
    """
    from pneumoscope.infer import load
    from pneumoscope.predict import Found, find_images

    loaded = load(model)
    drawn: list[str] = []
    if paths:
        found = find_images(paths)
    else:
        drawn = draw_studies(out / "studies")
        found = Found(drawn, {})
    places = Places(out / "predictions.csv", out / "heatmaps" if loaded.card.heatmap_size else None, out / "index.html")
    title = "Demonstration on drawn studies" if drawn else "Demonstration"
    summary = carry_out(loaded, found, places, title=title, synthetic=drawn)
    page = (out / "index.html").resolve()
    if browser and _has_display():
        import webbrowser

        webbrowser.open(page.as_uri())
    typer.echo(f"The page: {page}")
    if summary.failed:
        raise typer.Exit(1)


def draw_studies(folder: Path) -> list[str]:
    """Draw the demo's studies into a folder, PNG and (with the extra ``dicom``) DICOM; return their paths."""
    from pneumoscope.data.phantom import draw
    from pneumoscope.data.phantom_files import write_dicom, write_png
    from pneumoscope.errors import MissingExtraError

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, label in enumerate(STUDIES):
        phantom = draw(2020, number, label, size=512, source="synthetic-b" if number % 2 else "synthetic-a")
        path = folder / f"drawn-{number + 1}-{label}.png"
        if number % 3 == 2:
            try:
                write_dicom(path.with_suffix(".dcm"), phantom, number)
                path = path.with_suffix(".dcm")
            except MissingExtraError as error:
                tell(f"{error} Drawn as PNG instead.")
                write_png(path, phantom.pixels)
        else:
            write_png(path, phantom.pixels)
        files.append(str(path))
    return files


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
