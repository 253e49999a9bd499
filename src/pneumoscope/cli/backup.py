"""`pneumoscope backup`: a server's data in a folder that a server can be started on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.options import Home, Secret


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder.")], home: Home = None, secret: Secret = None
) -> None:
    """Copy a server's data while it runs. Restore: pneumoscope serve --home FOLDER --secret FILE.

    The secret, without which no name in the copy can be read, is not copied: keep it elsewhere.
    """
    from pneumoscope.server import Settings, back_up, default_home

    settings = Settings(home=home or default_home(), secret=secret)
    images = back_up(settings, folder)
    typer.echo(f"{images} images in {folder}. Keep {settings.secret_file} too, apart from it.")
