"""`pneumoscope backup`: a server's data in a folder that a server can be started on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    home: Annotated[Path | None, typer.Option(help="The server's folder, as for serve.")] = None,
    secret: Annotated[Path | None, typer.Option(help="The server's secret, as for serve.")] = None,
) -> None:
    """Copy a server's data while it runs. Restore: pneumoscope serve --home FOLDER --secret FILE.

    The secret, without which no name in the copy can be read, is not copied: keep it elsewhere.
    """
    from pneumoscope.server.settings import Settings, default_home
    from pneumoscope.server.storage.backup import back_up
    from pneumoscope.server.storage.database import open_store

    settings = Settings(home=home or default_home(), secret=secret)
    store = open_store(settings)
    try:
        images = back_up(store, folder)
    finally:
        store.close()
    typer.echo(f"{images} images in {folder}. Keep {settings.secret_file} too, apart from it.")
