"""What an administrator does at the machine itself, each as one function of the server's settings.

The settings need only say where the server's data are: ``home``, ``database`` and ``secret``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.server.security.accounts import Accounts
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import backup
from pneumoscope.server.storage.database import Store, open_store


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account in a list.

    Args:
        name: What its owner logs in with.
        role: "admin" or "reader".
        sees_names: Whether it sees who was examined, not only a pseudonym.
        disabled: Whether it is locked out.
    """

    name: str
    role: str
    sees_names: bool
    disabled: bool


def add_account(settings: Settings, name: str, password: str, *, admin: bool = False, sees_names: bool = False) -> None:
    """Add an account to a server.

    Args:
        settings: Where the server's data are.
        name: 1 to 64 printable characters.
        password: Its length is checked.
        admin: The account runs the server: it erases, switches models and sees the audit log.
        sees_names: The account sees who was examined, not only a pseudonym.

    Raises:
        UsageError: The name is taken or not printable, or the password is too short.

    Example:
        >>> ps.server.add_account(ps.server.Settings(home=Path("server")), "ada", "a long passphrase", admin=True)
    """
    with _accounts(settings) as accounts:
        accounts.add(name, password, "admin" if admin else "reader", sees_names=sees_names)


def list_accounts(settings: Settings) -> list[AccountEntry]:
    """Return the accounts of a server, by name.

    Args:
        settings: Where the server's data are.

    Returns:
        One entry an account; empty where there is none.

    Example:
        >>> [account.name for account in ps.server.list_accounts(settings)]
    """
    with _accounts(settings) as accounts:
        return [AccountEntry(row.name, row.role, row.sees_names, row.disabled) for row in accounts.list_all()]


def disable_account(settings: Settings, name: str, *, undo: bool = False) -> None:
    """Lock an account out, or let it in again; its sessions and tokens end at once.

    Args:
        settings: Where the server's data are.
        name: The account's.
        undo: Let the account in again.

    Raises:
        UsageError: There is no such account.

    Example:
        >>> ps.server.disable_account(settings, "ada")
    """
    with _accounts(settings) as accounts:
        accounts.disable(name, disabled=not undo)


def set_password(settings: Settings, name: str, password: str) -> None:
    """Give an account another password; its sessions end, and a lock is lifted.

    Args:
        settings: Where the server's data are.
        name: The account's.
        password: Its length is checked.

    Raises:
        UsageError: There is no such account, or the password is too short.

    Example:
        >>> ps.server.set_password(settings, "ada", "another long passphrase")
    """
    with _accounts(settings) as accounts:
        accounts.set_password(name, password)


def back_up(settings: Settings, folder: str | Path) -> int:
    """Copy a server's data into a new folder while it runs; a server can be started on the copy.

    The secret, without which no name in the copy can be read, is not copied: keep it elsewhere.

    Args:
        settings: Where the server's data are, on SQLite.
        folder: Empty or not there.

    Returns:
        The number of images in the copy.

    Raises:
        UsageError: The folder holds something, or the database is PostgreSQL.
        RunError: A stored file is missing or altered.

    Example:
        >>> ps.server.back_up(ps.server.Settings(home=Path("server")), "backup")
    """
    with opened_store(settings) as store:
        return backup.back_up(store, Path(folder))


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """Open a server's store for the length of a block."""
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts]:
    with opened_store(settings) as store:
        yield Accounts(store)
