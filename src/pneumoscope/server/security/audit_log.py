"""What is done at the machine itself, past the server, is written to the audit log too."""

from __future__ import annotations

from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Access

CONSOLE = "console"
"""Stands in the log for whoever sits there: the server's own accounts are not asked for."""


def note(store: Store, action: str, subject: str = "") -> None:
    """Write an access down; to be called before what it opens is used.

    Args:
        store: The server's.
        action: The command, without its arguments.
        subject: Opaque number of the thing.
    """
    with store.write() as session:
        session.add(
            Access(at=now(), who=CONSOLE, address="", action=action, subject=subject, status=200, request=new_id())
        )
