"""Who asks, and what that account may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pneumoscope.server.storage.tables import Account

Role: TypeAlias = Literal["reader", "admin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """The account that a request acts for."""

    id: str
    name: str
    role: Role
    sees_names: bool
    """Whether the account may see who was examined, and when."""
    via: Literal["local", "session", "token"]
    """How the sender proved to be this account."""
    csrf: str | None = None
    """What a browser's changing requests must carry; None where no cookie is involved."""

    @property
    def is_admin(self) -> bool:
        """Whether the account runs the server."""
        return self.role == "admin"


LOCAL = Principal("local", "local", "admin", sees_names=True, via="local")
"""The person at the machine of a server without accounts."""


def principal_of(account: Account, via: Literal["session", "token"], csrf: str | None) -> Principal:
    """Return an account as the principal of a request."""
    role: Role = "admin" if account.role == "admin" else "reader"
    return Principal(account.id, account.name, role, account.sees_names, via, csrf)
