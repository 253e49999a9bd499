"""`pneumoscope users`: who may log in to a server. The first admin is added here, at the machine itself."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import print_json
from pneumoscope.cli.options import AsJson, Database, Home, Secret

if TYPE_CHECKING:
    from pneumoscope.server import Settings

app = typer.Typer(help="Add, list and disable the accounts of a server.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The account's name.")]
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
    """Add an account; the command asks for its password."""
    from pneumoscope.server import add_account

    password = _read_password(password_stdin)
    add_account(_settings(home, database, secret), name, password, admin=admin, sees_names=names)
    typer.echo(f"Added {name}.")


@app.command("list")
def list_users(as_json: AsJson = False, home: Home = None, database: Database = None, secret: Secret = None) -> None:
    """List the accounts."""
    from pneumoscope.server import list_accounts

    accounts = list_accounts(_settings(home, database, secret))
    if as_json:
        print_json([asdict(account) for account in accounts])
        return
    for account in accounts:
        facts = [account.role, *["sees names"] * account.sees_names, *["disabled"] * account.disabled]
        typer.echo(f"{account.name}  {', '.join(facts)}")
    if not accounts:
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
    from pneumoscope.server import disable_account

    disable_account(_settings(home, database, secret), name, undo=undo)
    typer.echo(f"{name} may log in again." if undo else f"Disabled {name}.")


@app.command()
def password(
    name: Name, password_stdin: Stdin = False, home: Home = None, database: Database = None, secret: Secret = None
) -> None:
    """Give an account another password; its sessions end, a lock is lifted."""
    from pneumoscope.server import set_password

    new = _read_password(password_stdin)
    set_password(_settings(home, database, secret), name, new)
    typer.echo(f"{name} has a new password.")


def _read_password(stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    text: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return text


def _settings(home: Path | None, database: str | None, secret: Path | None) -> Settings:
    from pneumoscope.server import Settings, default_home

    return Settings(home=home or default_home(), database=database, secret=secret)
