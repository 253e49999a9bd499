"""`pneumoscope users`: who may log in to a server. The first admin is made here, at the machine itself."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pneumoscope.server.security.accounts import Accounts

app = typer.Typer(help="Add, list and disable the accounts of a server.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The account's name.")]
Home = Annotated[Path | None, typer.Option(help="The server's folder, as for serve.")]
Database = Annotated[str | None, typer.Option(help="The server's database, as for serve.", metavar="URL")]
Secret = Annotated[Path | None, typer.Option(help="The server's secret, as for serve.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.command()
def add(
    name: Name,
    admin: Annotated[bool, typer.Option("--admin", help="Runs the server: erases, switches models, sees the log.")] = (
        False
    ),
    names: Annotated[bool, typer.Option("--sees-names", help="Sees who was examined, not only a pseudonym.")] = False,
    password_stdin: Stdin = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Add an account; its password is asked for."""
    password = _password(password_stdin)
    with _accounts(home, database, secret) as accounts:
        accounts.add(name, password, "admin" if admin else "reader", sees_names=names)
    typer.echo(f"Added {name}.")


@app.command("list")
def list_users(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """List the accounts."""
    with _accounts(home, database, secret) as accounts:
        found = [
            {"name": row.name, "role": row.role, "sees_names": row.sees_names, "disabled": row.disabled}
            for row in accounts.list_all()
        ]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for row in found:
        notes = [name.replace("_", " ") for name in ("sees_names", "disabled") if row[name]]
        typer.echo(f"{row['name']}  {', '.join([str(row['role']), *notes])}")
    if not found:
        typer.echo("No accounts. Add the first admin: pneumoscope users add NAME --admin")


@app.command()
def disable(
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Let the account in again.")] = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Lock an account out; its sessions and tokens end at once."""
    with _accounts(home, database, secret) as accounts:
        accounts.disable(name, disabled=not undo)
    typer.echo(f"{name} may log in again." if undo else f"Disabled {name}.")


@app.command()
def password(
    name: Name, password_stdin: Stdin = False, home: Home = None, database: Database = None, secret: Secret = None
) -> None:
    """Give an account another password; its sessions end, a lock is lifted."""
    new = _password(password_stdin)
    with _accounts(home, database, secret) as accounts:
        accounts.set_password(name, new)
    typer.echo(f"{name} has a new password.")


def _password(stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


@contextmanager
def _accounts(home: Path | None, database: str | None, secret: Path | None) -> Iterator[Accounts]:
    from pneumoscope.server.security.accounts import Accounts
    from pneumoscope.server.settings import Settings, default_home
    from pneumoscope.server.storage.database import open_store

    settings = Settings(home=home or default_home(), database=database, secret=secret)
    store = open_store(settings)
    try:
        yield Accounts(store)
    finally:
        store.close()
