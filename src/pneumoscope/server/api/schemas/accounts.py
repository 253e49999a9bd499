"""Accounts as admins send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from pneumoscope.server.api.schemas.common import ID, Sent, as_time
from pneumoscope.server.security.principal import Role
from pneumoscope.server.storage.tables import Account

NewPassword = Annotated[str, Field(min_length=12, max_length=256)]


class AccountIn(Sent):
    """A new account."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: NewPassword
    role: Role = "reader"
    sees_names: bool = False


class AccountChange(Sent):
    """What changes of an account; what is absent stays as it is."""

    role: Role | None = None
    sees_names: bool | None = None
    disabled: bool | None = None
    password: NewPassword | None = None


class AccountOut(BaseModel):
    """An account, without its password."""

    id: Annotated[str, ID]
    name: str
    role: Role
    sees_names: bool
    disabled: bool
    created: datetime

    @classmethod
    def of(cls, row: Account) -> AccountOut:
        """Return an account as it is sent."""
        return cls(
            id=row.id,
            name=row.name,
            role="admin" if row.role == "admin" else "reader",
            sees_names=row.sees_names,
            disabled=row.disabled,
            created=as_time(row.created),
        )
