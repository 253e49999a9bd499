"""`pneumoscope serve`: the server, for this machine alone or for a department."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.formatting import print_note

STARTING = "The server starts. It answers when its address is shown."


def serve(
    host: Annotated[str, typer.Option(help="Address to answer on. Any but this machine's own asks for a login.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port.", min=0, max=65535)] = 8000,
    models: Annotated[Path | None, typer.Option(help="Folder of bundles, beside the built-in one.")] = None,
    database: Annotated[
        str | None, typer.Option(help="postgresql://USER@HOST/NAME.  [default: SQLite in --home]", metavar="URL")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of pixels, secret and database.")] = None,
    secret: Annotated[Path | None, typer.Option(help="File with the key that seals names.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes that predict.  [default: one a core]", min=0)
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    proxy: Annotated[str | None, typer.Option(help="Address of the proxy that encrypts.", metavar="IP")] = None,
    hosts: Annotated[list[str] | None, typer.Option("--name", help="Host name to answer to; repeatable.")] = None,
    accounts: Annotated[bool, typer.Option("--accounts", help="Ask for a login on this machine too.")] = False,
    read_first: Annotated[
        bool | None,
        typer.Option(
            "--read-first/--read-freely",
            help="Show answers only after one's own read is locked.  [default: where there are accounts]",
        ),
    ] = None,
    retention: Annotated[
        float | None, typer.Option(help="Erase studies older than so many days.  [default: never]", metavar="DAYS")
    ] = None,
    retention_confirm: Annotated[
        bool,
        typer.Option(
            "--retention-confirm", help="The clock is right, though far ahead of the newest row: erase by it."
        ),
    ] = False,
    dicom: Annotated[
        bool,
        typer.Option("--dicom", help="Take radiographs from modalities and PACS too (C-STORE)."),
    ] = False,
    dicom_host: Annotated[
        str,
        typer.Option(help="Address of the DICOM node. Any but this machine's own needs peers."),
    ] = "127.0.0.1",
    dicom_port: Annotated[int, typer.Option(help="Its port.", min=0, max=65535)] = 11112,
    dicom_title: Annotated[str, typer.Option(help="Its AE title.")] = "PNEUMOSCOPE",
    dicom_peers: Annotated[
        list[str] | None,
        typer.Option("--dicom-peer", help="A peer that may send, repeatable.", metavar="TITLE@IP"),
    ] = None,
    dicom_models: Annotated[
        list[str] | None,
        typer.Option("--dicom-model", help="A model to ask about each radiograph, repeatable.  [default: opacity]"),
    ] = None,
    dicom_certificate: Annotated[Path | None, typer.Option(help="Certificate chain of the DICOM node (PEM).")] = None,
    dicom_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    dicom_authorities: Annotated[
        Path | None, typer.Option(help="Authorities (PEM) of the peers' own certificates.")
    ] = None,
    dicom_in_the_clear: Annotated[
        bool,
        typer.Option(
            "--dicom-in-the-clear",
            help="Other machines may send without encryption: the network is the hospital's own.",
        ),
    ] = False,
    dicom_routes: Annotated[
        Path | None, typer.Option(help="Destinations of results and rules (YAML).  [default: nothing is sent]")
    ] = None,
    dicom_quiet_seconds: Annotated[
        float,
        typer.Option(help="A study is complete when no object of it came for so long.", min=0, max=86400),
    ] = 60,
    dicom_capture: Annotated[
        bool,
        typer.Option("--dicom-capture", help="Make each answer a picture too, for viewers that show nothing else."),
    ] = False,
    dicom_keep_files: Annotated[
        bool,
        typer.Option(
            "--dicom-keep-files",
            help="Keep each object as it came, encrypted, so that DICOMweb gives its pixels; takes its size in disk.",
        ),
    ] = False,
    queue: Annotated[int, typer.Option(help="Predictions that may wait; more uploads must come later.", min=1)] = 1000,
) -> None:
    """Serve studies, predictions and reads over HTTP. Without options: for this machine alone, without a login."""
    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.server.processes import prepare

    typer.echo(DISCLAIMER, err=True)
    print_note(STARTING)  # now: the imports take seconds, and many on a busy machine
    prepare()  # its imports run beside those of this process
    from pneumoscope.core.engine import default_workers
    from pneumoscope.server import DicomSettings, Settings, default_home
    from pneumoscope.server import serve as serve_until_stopped

    settings = Settings(
        home=home or default_home(),
        database=database,
        models=models,
        secret=secret,
        host=host,
        port=port,
        hosts=tuple(hosts or ()),
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        proxy=proxy,
        accounts=accounts,
        read_first=read_first,
        workers=default_workers() if workers is None else workers,
        queue_limit=queue,
        dicom=DicomSettings(
            title=dicom_title,
            host=dicom_host,
            port=dicom_port,
            peers=tuple(_read_peer(text) for text in dicom_peers or ()),
            models=tuple(dicom_models or ("opacity",)),
            tls_certificate=dicom_certificate,
            tls_key=dicom_key,
            tls_peers=dicom_authorities,
            in_the_clear=dicom_in_the_clear,
            routes=dicom_routes,
            quiet_seconds=dicom_quiet_seconds,
            capture=dicom_capture,
            keep_files=dicom_keep_files,
        )
        if dicom
        else None,
        retention=retention,
        retention_confirm=retention_confirm,
    )
    serve_until_stopped(settings)


def _read_peer(text: str) -> tuple[str, str]:
    from pneumoscope.core.errors import UsageError

    title, at, address = text.rpartition("@")
    if not at:
        raise UsageError(f"peer `{text}`", "names no address.", "Give it as TITLE@IP, such as ORTHANC@192.0.2.7.")
    return title, address
