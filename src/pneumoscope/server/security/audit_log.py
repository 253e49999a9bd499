"""The audit log: who did what to which thing. Every entry is written here, before what it opens is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, select

from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Access
from pneumoscope.server.storage.transaction import Transaction

CONSOLE = "console"
"""Stands in the log for the person at the machine itself: the server's own accounts are not asked for there."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log."""

    who: str
    """Number of the account, or `CONSOLE`, or ``retention``; empty: not logged in."""
    action: str
    """Method and route, or the command; never its arguments."""
    subject: str = ""
    """Opaque number of the thing."""
    address: str = ""
    """Network address of the sender; empty: this machine."""
    status: int = 200
    """HTTP status of the answer."""
    request: str = field(default_factory=new_id)
    """Opaque number of the request."""
    at: float = field(default_factory=now)
    """Seconds since 1970."""


def record(session: Transaction, entry: AuditEntry) -> None:
    """Write an entry in the transaction that makes the change, or before an answer is sent."""
    session.append(
        Access,
        {
            **{"at": entry.at, "who": entry.who, "address": entry.address, "action": entry.action},
            **{"subject": entry.subject, "status": entry.status, "request": entry.request},
        },
    )


def record_all(session: Transaction, entries: Sequence[AuditEntry]) -> None:
    """Write several entries; see `record`."""
    for entry in entries:
        record(session, entry)


def record_command(store: Store, action: str, subject: str = "") -> None:
    """Write an entry about a command at the machine itself, which passes no server.

    Args:
        store: The server's.
        action: The command, without its arguments.
        subject: Opaque number of the thing.
    """
    with store.write() as session:
        record(session, AuditEntry(CONSOLE, action, subject))


def list_entries(
    store: Store, *, subject: str | None = None, account: str | None = None, before: int | None = None, limit: int = 100
) -> Sequence[Access]:
    """Return entries, the newest first.

    Args:
        store: The server's.
        subject: Only entries about this thing.
        account: Only entries of this account.
        before: Only entries older than the one with this number.
        limit: At most so many.
    """
    query = select(Access).order_by(Access.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(Access.subject == subject)
    if account is not None:
        query = query.where(Access.who == account)
    if before is not None:
        query = query.where(Access.id < before)
    with store.read() as session:
        return session.scalars(query).all()


def list_actions(
    store: Store,
    actions: Sequence[str],
    *,
    beginnings: Sequence[str] = (),
    refused: bool = False,
    before: int | None = None,
    limit: int = 100,
) -> Sequence[Access]:
    """Return entries of some actions, the newest first.

    Args:
        store: The server's.
        actions: Whole actions.
        beginnings: Of further actions.
        refused: Only those that were refused or failed.
        before: As for `list_entries`.
        limit: At most so many.
    """
    wanted: ColumnElement[bool] = Access.action.in_(actions)
    for beginning in beginnings:
        wanted |= Access.action.startswith(beginning, autoescape=True)
    query = select(Access).where(wanted).order_by(Access.id.desc()).limit(limit)
    if refused:
        query = query.where(Access.status >= 400)
    if before is not None:
        query = query.where(Access.id < before)
    with store.read() as session:
        return session.scalars(query).all()
