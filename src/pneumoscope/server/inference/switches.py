"""The switch of a model: each change is a row with its reason, and the newest row counts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Switch


def list_switches(store: Store, model: str) -> Sequence[Switch]:
    """Return the changes of a model's switch, the oldest first.

    Args:
        store: The store.
        model: The model's identity, whole.
    """
    with store.read() as session:
        return session.scalars(select(Switch).where(Switch.model == model).order_by(Switch.id)).all()


def set_switch(store: Store, model: str, *, on: bool, reason: str, account: str) -> Switch:
    """Switch a model on or off. A model that is off answers nothing, not even what was asked before.

    Args:
        store: The store.
        model: The model's identity, whole.
        on: Whether it may answer.
        reason: Why, in words.
        account: Who switches it.
    """
    row = Switch(model=model, on=on, reason=reason, by=account, at=now())
    with store.write() as session:
        session.add(row)
    return row
