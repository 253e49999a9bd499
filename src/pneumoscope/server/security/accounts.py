"""Accounts: adding, listing and disabling the people who may log in."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from pneumoscope.core.errors import UsageError
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.security.passwords import Passwords, check_password
from pneumoscope.server.security.principal import Role
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Account, Login, LoginAttempt, Token


class Accounts:
    """The accounts of a store."""

    def __init__(self, store: Store, passwords: Passwords | None = None) -> None:
        self._store = store
        self._passwords = passwords or Passwords()

    def add(self, name: str, password: str, role: Role, *, sees_names: bool) -> str:
        """Add an account and return its number.

        Raises:
            UsageError: The name is taken or not printable, or the password is too short.
        """
        name = _check_name(name)
        digest = self._passwords.hash(check_password(password))
        with self._store.write() as session:
            self._store.lock_exclusive(session)
            if session.scalar(select(Account.id).where(Account.name == name)) is not None:
                raise UsageError(f"the account {name}", "exists already.", "Choose another name.", code="name-taken")
            number = new_id()
            session.add(
                Account(
                    id=number, name=name, password=digest, role=role, sees_names=sees_names, disabled=False,
                    created=now(), failures=0, locked_until=0.0,
                )
            )  # fmt: skip
        return number

    def list_all(self) -> list[Account]:
        """Return all accounts, by name."""
        with self._store.read() as session:
            return list(session.scalars(select(Account).order_by(Account.name)))

    def get(self, number: str) -> Account:
        """Return an account.

        Raises:
            NotFoundError: There is no account of this number.
        """
        with self._store.read() as session:
            account = session.get(Account, number)
        if account is None:
            raise NotFoundError("account")
        return account

    def set_rights(self, name: str, *, role: Role | None = None, sees_names: bool | None = None) -> None:
        """Change what an account may do; open sessions and tokens have the new rights at once.

        Args:
            name: The account's.
            role: None: as it is.
            sees_names: Whether it sees who was examined; None: as it is.

        Raises:
            UsageError: There is no such account.
        """
        with self._store.write() as session:
            account = _check_exists(session.scalar(select(Account).where(Account.name == name)), name)
            account.role = account.role if role is None else role
            account.sees_names = account.sees_names if sees_names is None else sees_names

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password; its sessions and tokens end, and locks are lifted.

        Raises:
            UsageError: There is no such account, or the password is too short.
        """
        digest = self._passwords.hash(check_password(password))
        with self._store.write() as session:
            account = _check_exists(session.scalar(select(Account).where(Account.name == name)), name)
            account.password, account.failures, account.locked_until = digest, 0, 0.0
            for table in (Login, Token, LoginAttempt):  # who knew the old password may have made a token
                session.execute(delete(table).where(table.account == account.id))

    def disable(self, name: str, *, disabled: bool = True) -> None:
        """Lock an account out, or let it in again; its sessions and tokens end.

        Raises:
            UsageError: There is no such account.
        """
        with self._store.write() as session:
            account = _check_exists(session.scalar(select(Account).where(Account.name == name)), name)
            account.disabled = disabled
            session.execute(delete(Login).where(Login.account == account.id))
            session.execute(delete(Token).where(Token.account == account.id))

    def has_admin(self) -> bool:
        """Return whether there is an admin who may log in."""
        query = select(func.count()).select_from(Account).where(Account.role == "admin", ~Account.disabled)
        with self._store.read() as session:
            return bool(session.scalar(query))


def _check_exists(account: Account | None, name: str) -> Account:
    if account is None:
        raise UsageError(f"the account {name}", "does not exist.", "`pneumoscope.server.list_accounts` lists them.")
    return account


def _check_name(name: str) -> str:
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise UsageError("the account's name", "must have 1 to 64 printable characters.")
    return name
