"""`pneumoscope demo`: the reading room on this machine, with the built-in model and drawn studies, or one's own."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import print_note
from pneumoscope.core.counts import format_count

if TYPE_CHECKING:
    from pneumoscope.server.run import RunningServer


def demo(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Images, DICOM files and folders of your own.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the demo's data; it finds its studies there again.")] = Path(
        "demo"
    ),
    model: Annotated[str, typer.Option(help="A bundle's folder.", metavar="BUNDLE")] = "builtin",
    port: Annotated[int, typer.Option(help="Port; 0: any that is free.", min=0, max=65535)] = 8000,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    read_first: Annotated[
        bool, typer.Option("--read-first", help="Show answers only after one's own read is locked.")
    ] = False,
) -> None:
    """See it work: the reading room in the browser, for this machine alone, until Ctrl-C.

    Without PATH the studies are drawn: they show no patient, and how a model does on them says nothing about patients.
    """
    print_note("The reading room starts. Its address follows.")  # now: the imports take seconds
    from pneumoscope.data.phantoms.demo_studies import draw_studies, draw_studies_in_process

    drawn = out / "drawn"
    first = not paths and not (out / "pneumoscope.sqlite").exists()
    if first:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(out.iterdir()):
            out.chmod(0o700)  # the drawn studies come before the server makes its folder private
    # The first start draws at once: on another core, while this process imports and starts the server.
    with draw_studies_in_process(drawn) if first else nullcontext(draw_studies(drawn)) as studies:
        _serve(paths, studies, out, model, port, browser=browser, read_first=read_first)


def _serve(
    paths: Sequence[Path] | None,
    studies: Iterator[Path],
    out: Path,
    model: str,
    port: int,
    *,
    browser: bool,
    read_first: bool,
) -> None:
    """Run the server; fill an empty worklist with the paths, or with the drawn studies without any."""
    from pneumoscope.server.processes import prepare

    prepare()  # its imports run beside those of this process
    from pneumoscope.bundle.card import read_card
    from pneumoscope.bundle.runtime import BUILTIN, bundle_folder
    from pneumoscope.core.engine import default_workers
    from pneumoscope.data.phantoms.demo_studies import STUDIES, has_dicom
    from pneumoscope.imaging.files import find_images
    from pneumoscope.server.run import serve
    from pneumoscope.server.settings import Settings
    from pneumoscope.server.studies.lookup import has_studies

    bundle = bundle_folder(model)
    _, identity = read_card(bundle)
    own = find_images(paths).files if paths else None
    settings = Settings(
        home=out,
        models=None if model == BUILTIN else bundle,
        port=port,
        read_first=read_first,
        workers=default_workers(),
    )

    def when_up(running: RunningServer) -> None:
        welcome(running.address, browser=browser)
        if own is not None:
            fill(running, own, identity)
        elif not has_studies(running.context.store):
            if not has_dicom():
                print_note("Without the extra 'dicom' all studies are PNG, and none has a prior image.")
            print_note(f"Drawing {len(STUDIES) + 1} studies, once; each is in the worklist as soon as it is drawn.")
            fill(running, studies, identity)

    serve(settings, when_up, log_level=logging.WARNING)


def welcome(address: str, *, browser: bool) -> None:
    """Say where the page is, and what it is not; open it where there is a display."""
    from pneumoscope.core.labels import DISCLAIMER

    typer.echo(DISCLAIMER, err=True)
    typer.echo(f"The reading room: {address}   (Ctrl-C ends it)")
    if browser and _has_display():
        import webbrowser

        webbrowser.open(address)


def fill(running: RunningServer, paths: Iterable[str | Path], model: str) -> None:
    """Upload files and have them predicted, as a visitor would; say which were not taken."""
    from pneumoscope.server.uploads.local_upload import upload_files

    files = taken = 0
    for path, outcome in upload_files(running.context.uploads, paths, [model], running.stopping):
        files += 1
        if isinstance(outcome, Exception):
            print_note(str(outcome))
        else:
            taken += 1
            for each in outcome:
                if each.problem is not None:
                    print_note(f"{path}: {each.problem}")
    if not running.stopping():
        print_note(f"{taken} of {format_count(files, 'file')} {'is' if taken == 1 else 'are'} in the worklist.")


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
