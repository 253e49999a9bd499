"""Tokens: keys with which programs act for an account. They are stored as hashes only."""

from __future__ import annotations

import secrets

from sqlalchemy import select

from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.security.principal import Principal, principal_of
from pneumoscope.server.storage.crypto import hash_token, new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Account, Token


class Tokens:
    """The tokens of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, token: str) -> Principal | None:
        """Return the account of a token; None where there is no such token."""
        with self._store.read() as session:
            row = session.scalar(select(Token).where(Token.token == hash_token(token)))
            account = None if row is None else session.get(Account, row.account)
        return None if account is None or account.disabled else principal_of(account, "token", None)

    def create(self, account: str, label: str) -> tuple[Token, str]:
        """Create a token; return its row and the token itself, which is shown this once."""
        token = "ps_" + secrets.token_urlsafe(32)
        row = Token(id=new_id(), token=hash_token(token), account=account, label=label, created=now())
        with self._store.write() as session:
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
