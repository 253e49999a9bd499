"""Who is asking: accounts, sessions and keys for programs.

Passwords are kept as argon2id (RFC 9106) with argon2-cffi's defaults, tokens as hashes. A wrong password, an unknown
name, a disabled and a locked account get the same answer after the same time, so that nobody learns which names exist.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import delete, func, select

from pneumoscope.core.errors import UsageError
from pneumoscope.server.errors import CredentialsError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import hash_token, new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Account, Login, Token

Role = Literal["reader", "admin"]
SHORTEST_PASSWORD = 12
"""NIST SP 800-63B asks for length and for nothing else; below 15 characters only with further protection (lock-out)."""
LONGEST_PASSWORD = 256
_SEEN_EVERY = 10.0
"""Seconds: a session's last use is not written down more often."""
_HASHING_AT_ONCE = 2
"""Each takes 64 MiB."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may."""

    id: str
    name: str
    role: Role
    sees_names: bool
    via: Literal["local", "session", "token"]
    csrf: str | None = None
    """What a browser's changing requests must carry; None where no cookie is involved."""

    @property
    def is_admin(self) -> bool:
        """Whether they run the server."""
        return self.role == "admin"


LOCAL = Principal("local", "local", "admin", sees_names=True, via="local")
"""Whoever sits at the machine of a server without accounts."""


class Accounts:
    """The accounts of a store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._hasher = PasswordHasher()
        self._turns = threading.BoundedSemaphore(_HASHING_AT_ONCE)
        # Checked where there is no such name, so that the answer takes as long.
        self._nobody = self._hasher.hash(secrets.token_hex())

    def add(self, name: str, password: str, role: Role, *, sees_names: bool) -> str:
        """Add an account and return its number.

        Raises:
            UsageError: The name is taken, or the password too short.
        """
        name = _checked_name(name)
        digest = self._hash(_checked_password(password))
        with self._store.write() as session:
            self._store.lock_exclusive(session)
            if session.scalar(select(Account.id).where(Account.name == name)) is not None:
                raise UsageError(f"the account {name}", "exists already.", "Choose another name.")
            number = new_id()
            session.add(
                Account(
                    id=number, name=name, password=digest, role=role, sees_names=sees_names, disabled=False,
                    created=now(), failures=0, locked_until=0.0,
                )
            )  # fmt: skip
        return number

    def everyone(self) -> list[Account]:
        """Return all accounts, by name."""
        with self._store.read() as session:
            return list(session.scalars(select(Account).order_by(Account.name)))

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password; its sessions end, a lock is lifted."""
        digest = self._hash(_checked_password(password))
        with self._store.write() as session:
            account = _named(session.scalar(select(Account).where(Account.name == name)), name)
            account.password, account.failures, account.locked_until = digest, 0, 0.0
            session.execute(delete(Login).where(Login.account == account.id))

    def disable(self, name: str, *, disabled: bool = True) -> None:
        """Lock an account out for good, or let it in again; its sessions and tokens end."""
        with self._store.write() as session:
            account = _named(session.scalar(select(Account).where(Account.name == name)), name)
            account.disabled = disabled
            session.execute(delete(Login).where(Login.account == account.id))
            session.execute(delete(Token).where(Token.account == account.id))

    def login(self, name: str, password: str) -> tuple[str, Principal]:
        """Begin a session; return its token and who it is.

        Raises:
            CredentialsError: The login is refused, without saying why.
        """
        with self._store.read() as session:
            account = session.scalar(select(Account).where(Account.name == name))
        right = self._verify(self._nobody if account is None else account.password, password)
        if account is None:
            raise _wrong()
        with self._store.write() as session:
            current = session.get(Account, account.id, with_for_update=True)
            # The password is checked against what was read above: a change meanwhile voids the check.
            if current is None or current.password != account.password:
                raise _wrong()
            allowed = not current.disabled and current.locked_until <= now()
            if right and allowed:
                current.failures = 0
                if self._hasher.check_needs_rehash(current.password):
                    current.password = self._hash(password)
                token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
                session.add(Login(token=hash_token(token), account=current.id, csrf=csrf, created=now(), seen=now()))
                session.execute(delete(Login).where(Login.created < now() - self._settings.session_longest))
                return token, _principal(current, "session", csrf)
            if allowed:
                current.failures += 1
                if current.failures >= self._settings.lockout_after:
                    current.failures, current.locked_until = 0, now() + self._settings.lockout
        raise _wrong()

    def logout(self, token: str) -> None:
        """End a session."""
        with self._store.write() as session:
            session.execute(delete(Login).where(Login.token == hash_token(token)))

    def by_session(self, token: str, *, counts: bool) -> Principal | None:
        """Return whose session it is; None where it has ended or was idle too long.

        Args:
            token: The cookie's value.
            counts: Whether this use keeps the session alive; a page that watches by itself does not.
        """
        with self._store.read() as session:
            login = session.get(Login, hash_token(token))
            account = None if login is None else session.get(Account, login.account)
        if login is None or account is None or account.disabled:
            return None
        time = now()
        if time - login.seen > self._settings.session_idle or time - login.created > self._settings.session_longest:
            self.logout(token)
            return None
        if counts and time - login.seen > min(_SEEN_EVERY, self._settings.session_idle / 4):
            with self._store.write() as session:
                if (current := session.get(Login, login.token)) is not None:
                    current.seen = time
        return _principal(account, "session", login.csrf)

    def by_token(self, token: str) -> Principal | None:
        """Return whose key it is; None where there is no such key."""
        with self._store.read() as session:
            found = session.scalar(select(Token).where(Token.token == hash_token(token)))
            account = None if found is None else session.get(Account, found.account)
        return None if account is None or account.disabled else _principal(account, "token", None)

    def new_token(self, account: str, label: str) -> tuple[str, str]:
        """Make a key for a program; return its number and the key, which is shown this once."""
        number, token = new_id(), "ps_" + secrets.token_urlsafe(32)
        with self._store.write() as session:
            session.add(Token(id=number, token=hash_token(token), account=account, label=label, created=now()))
        return number, token

    def tokens(self, account: str) -> list[Token]:
        """Return the keys of an account, without the keys themselves."""
        with self._store.read() as session:
            return list(session.scalars(select(Token).where(Token.account == account).order_by(Token.created)))

    def revoke(self, account: str, number: str) -> bool:
        """End a key; return whether there was one."""
        with self._store.write() as session:
            found = session.get(Token, number)
            if found is None or found.account != account:
                return False
            session.delete(found)
            return True

    def any_admin(self) -> bool:
        """Return whether somebody can run the server."""
        query = select(func.count()).select_from(Account).where(Account.role == "admin", ~Account.disabled)
        with self._store.read() as session:
            return bool(session.scalar(query))

    def _hash(self, password: str) -> str:
        with self._turns:
            return self._hasher.hash(password)

    def _verify(self, digest: str, password: str) -> bool:
        if len(password) > LONGEST_PASSWORD:
            return False
        try:
            with self._turns:
                return self._hasher.verify(digest, password)
        except VerificationError:
            return False


def _principal(account: Account, via: Literal["session", "token"], csrf: str | None) -> Principal:
    role: Role = "admin" if account.role == "admin" else "reader"
    return Principal(account.id, account.name, role, account.sees_names, via, csrf)


def _wrong() -> CredentialsError:
    return CredentialsError(
        "the login",
        "was refused: the name or the password is wrong, or the account is locked.",
        "After some wrong passwords an account is locked for a quarter of an hour.",
        code="wrong-login",
    )


def _named(account: Account | None, name: str) -> Account:
    if account is None:
        raise UsageError(f"the account {name}", "does not exist.", "See: pneumoscope users list")
    return account


def _checked_name(name: str) -> str:
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise UsageError("the account's name", "must have 1 to 64 printable characters.")
    return name


def _checked_password(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(
            "the password",
            f"has {len(password)} characters; {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} are asked for.",
            "A few words will do.",
        )
    return password
