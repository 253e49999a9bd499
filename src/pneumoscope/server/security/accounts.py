"""Accounts: adding, listing and changing the people who may log in.

Every change is one transaction, and one at a time is made: so two admins who take each other's rights away at the same
moment do so one after the other, and the second is no admin any more. An admin who may log in always remains.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pneumoscope.core.errors import UsageError
from pneumoscope.server.errors import ConflictError, ForbiddenError, LoginRequiredError, NotFoundError
from pneumoscope.server.security.passwords import Passwords, check_password
from pneumoscope.server.security.principal import Role
from pneumoscope.server.storage.crypto import hash_token, new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Account, Login, LoginAttempt, Token

_ADMINS = select(func.count()).select_from(Account).where(Account.role == "admin", ~Account.disabled)


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What changes of an account; None: it stays as it is."""

    role: Role | None = None
    """Open sessions and tokens have the new rights at once."""
    sees_names: bool | None = None
    """Whether it sees who was examined."""
    disabled: bool | None = None
    """Lock it out, or let it in again; its sessions and tokens end."""
    password: str | None = None
    """Its sessions and tokens end, and locks are lifted."""


class Accounts:
    """The accounts of a store."""

    def __init__(self, store: Store, passwords: Passwords | None = None) -> None:
        self._store = store
        self._passwords = passwords or Passwords()

    def add(self, name: str, password: str, role: Role, *, sees_names: bool, by: str | None = None) -> Account:
        """Add an account and return it.

        Args:
            name: 1 to 64 printable characters.
            password: Its length is checked.
            role: What it may do.
            sees_names: Whether it sees who was examined.
            by: Number of the admin who asks for it; None: it is added at the machine itself.

        Raises:
            UsageError: The name is taken or not printable, or the password is too short.
            ForbiddenError: ``by`` is no admin any more.
        """
        name = _check_name(name)
        digest = self._passwords.hash(check_password(password))
        with self._store.write() as session:
            self._store.lock_exclusive(session)
            _check_still_admin(session, by)
            if session.scalar(select(Account.id).where(Account.name == name)) is not None:
                raise UsageError(f"the account {name}", "exists already.", "Choose another name.", code="name-taken")
            account = Account(
                id=new_id(), name=name, password=digest, role=role, sees_names=sees_names, disabled=False,
                created=now(), failures=0, locked_until=0.0,
            )  # fmt: skip
            session.add(account)
        return account

    def list_all(self) -> list[Account]:
        """Return all accounts, by name."""
        with self._store.read() as session:
            return list(session.scalars(select(Account).order_by(Account.name)))

    def change(self, number: str, changes: AccountChanges, *, by: str) -> Account:
        """Change another's account, all or nothing, and return it.

        Args:
            number: The account's.
            changes: What changes.
            by: Number of the admin who asks for it.

        Raises:
            NotFoundError: There is no account of this number.
            ForbiddenError: ``by`` is no admin any more.
            ConflictError: No admin would be left.
            UsageError: The password is too short.
        """
        digest = self._hash(changes)
        with self._store.write() as session:
            self._store.lock_exclusive(session)
            _check_still_admin(session, by)
            account = session.get(Account, number, with_for_update=True)
            if account is None:
                raise NotFoundError("account")
            _apply(session, account, changes, digest)
        return account

    def change_named(self, name: str, changes: AccountChanges) -> None:
        """Change an account at the machine itself, all or nothing.

        Args:
            name: The account's.
            changes: What changes.

        Raises:
            UsageError: There is no such account, or the password is too short.
            ConflictError: No admin would be left.
        """
        digest = self._hash(changes)
        with self._store.write() as session:
            self._store.lock_exclusive(session)
            account = session.scalar(select(Account).where(Account.name == name).with_for_update())
            if account is None:
                raise UsageError(
                    f"the account {name}", "does not exist.", "`pneumoscope.server.list_accounts` lists them."
                )
            _apply(session, account, changes, digest)

    def change_own_password(self, token: str, password: str) -> None:
        """Give an account another password; its sessions and tokens end, and locks are lifted.

        Args:
            token: Of the session that the old password has just begun. Where it has ended, another password was set
                meanwhile or the account was disabled, and that stands.
            password: The new one.

        Raises:
            LoginRequiredError: The session has ended.
            UsageError: The password is too short.
        """
        changes = AccountChanges(password=password)
        digest = self._hash(changes)
        with self._store.write() as session:
            self._store.lock_exclusive(session)
            of_session = select(Login.account).where(Login.token == hash_token(token))
            account = session.scalar(select(Account).where(Account.id.in_(of_session)).with_for_update())
            if account is None:
                raise LoginRequiredError("your session", "has ended.", "Log in again.", code="login")
            _apply(session, account, changes, digest)

    def _hash(self, changes: AccountChanges) -> str | None:
        """Return the hash of a new password, before a transaction begins: it takes a while."""
        return None if changes.password is None else self._passwords.hash(check_password(changes.password))

    def has_admin(self) -> bool:
        """Return whether there is an admin who may log in."""
        with self._store.read() as session:
            return bool(session.scalar(_ADMINS))


def _apply(session: Session, account: Account, changes: AccountChanges, digest: str | None) -> None:
    """Make changes to an account in an exclusive transaction; ``digest`` is that of a new password.

    Raises:
        ConflictError: No admin would be left.
    """
    was_admin = account.role == "admin" and not account.disabled
    account.role = account.role if changes.role is None else changes.role
    account.sees_names = account.sees_names if changes.sees_names is None else changes.sees_names
    account.disabled = account.disabled if changes.disabled is None else changes.disabled
    ended: list[type[Login | Token | LoginAttempt]] = []
    if changes.disabled is not None:
        ended = [Login, Token]
    if digest is not None:
        account.password, account.failures, account.locked_until = digest, 0, 0.0
        ended = [Login, Token, LoginAttempt]  # who knew the old password may have made a token
    for table in ended:
        session.execute(delete(table).where(table.account == account.id))
    session.flush()
    if was_admin and not session.scalar(_ADMINS):
        raise ConflictError(
            "the account",
            "is the last admin's: without one nobody could run this server.",
            "Make another account an admin first.",
            code="last-admin",
        )


def _check_still_admin(session: Session, by: str | None) -> None:
    """Refuse an account that is no admin any more, since the request came; None: the machine itself asks."""
    actor = None if by is None else session.get(Account, by)
    if by is not None and (actor is None or actor.role != "admin" or actor.disabled):
        raise ForbiddenError("this change", "is for admins.", "Ask one of them.", code="admins-only")


def _check_name(name: str) -> str:
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise UsageError("the account's name", "must have 1 to 64 printable characters.")
    return name
