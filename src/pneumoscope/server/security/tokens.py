"""Tokens: keys with which programs act for an account, for a limited time. They are stored as hashes only."""

from __future__ import annotations

import secrets

from sqlalchemy import delete, select

from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.security.principal import Principal, principal_of
from pneumoscope.server.storage.crypto import hash_token, new_id
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Account, Token

DAY = 24 * 3600.0
DEFAULT_DAYS = 90
LONGEST_DAYS = 366
"""Days that a token may live."""


class Tokens:
    """The tokens of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, token: str) -> Principal | None:
        """Return the account of a token; None where there is no such token, or it has expired."""
        with self._store.read() as session:
            row = session.scalar(select(Token).where(Token.token == hash_token(token)))
            account = None if row is None else session.get(Account, row.account)
        if row is None or account is None or account.disabled or row.expires <= self._store.clock.now():
            return None
        return principal_of(account, "token", None)

    def create(self, account: str, label: str, days: int = DEFAULT_DAYS) -> tuple[Token, str]:
        """Create a token; return its row and the token itself, which is shown this once.

        Args:
            account: Number of the account that it acts for.
            label: What its owner calls it.
            days: How long it lives, at most `LONGEST_DAYS`.
        """
        token, time = "ps_" + secrets.token_urlsafe(32), self._store.clock.now()
        end = time + min(days, LONGEST_DAYS) * DAY
        row = Token(id=new_id(), token=hash_token(token), account=account, label=label, created=time, expires=end)
        with self._store.write() as session:
            session.execute(delete(Token).where(Token.expires <= time - LONGEST_DAYS * DAY))
            session.add(row)
        return row, token

    def list_of(self, account: str) -> list[Token]:
        """Return the tokens of an account, the oldest first, without the tokens themselves."""
        with self._store.read() as session:
            return list(session.scalars(select(Token).where(Token.account == account).order_by(Token.created)))

    def revoke(self, account: str, number: str) -> None:
        """End a token.

        Raises:
            NotFoundError: The account has no such token.
        """
        with self._store.write() as session:
            row = session.get(Token, number)
            if row is None or row.account != account:
                raise NotFoundError("token")
            session.delete(row)
