"""Sessions of people who log in with a name and a password.

A wrong password, an unknown name, a disabled and a locked account get the same answer after the same time, so that
nobody learns which names exist. The session's token is stored as a hash only.
"""

from __future__ import annotations

import secrets

from sqlalchemy import delete, select

from pneumoscope.server.errors import CredentialsError
from pneumoscope.server.security.passwords import Passwords
from pneumoscope.server.security.principal import Principal, principal_of
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import hash_token
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Account, Login

_SKEW = 60.0
"""Seconds that the clocks of two servers of one database may differ; a session from further ahead has ended."""
_SEEN_EVERY = 10.0
"""Seconds: a session's last use is not written down more often."""


class Sessions:
    """The sessions of a store."""

    def __init__(self, store: Store, settings: Settings, passwords: Passwords | None = None) -> None:
        self._store = store
        self._settings = settings
        self._passwords = passwords or Passwords()

    def login(self, name: str, password: str) -> tuple[str, Principal]:
        """Begin a session; return its token and the account.

        Raises:
            CredentialsError: The login is refused, without saying why.
        """
        with self._store.read() as session:
            account = session.scalar(select(Account).where(Account.name == name))
        right = self._passwords.verify(self._passwords.nobody if account is None else account.password, password)
        if account is None:
            raise _login_refused()
        with self._store.write() as session:
            current = session.get(Account, account.id, with_for_update=True)
            # The password is checked against what was read above: a change in between voids the check.
            if current is None or current.password != account.password:
                raise _login_refused()
            time = self._store.clock.now()
            allowed = not current.disabled and current.locked_until <= time
            if right and allowed:
                current.failures = 0
                if self._passwords.needs_rehash(current.password):
                    current.password = self._passwords.hash(password)
                token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
                session.add(Login(token=hash_token(token), account=current.id, csrf=csrf, created=time, seen=time))
                session.execute(delete(Login).where(Login.created < time - self._settings.session_longest))
                return token, principal_of(current, "session", csrf)
            if allowed:
                current.failures += 1
                if current.failures >= self._settings.lockout_after:
                    current.failures, current.locked_until = 0, time + self._settings.lockout
        raise _login_refused()

    def logout(self, token: str) -> None:
        """End a session."""
        with self._store.write() as session:
            session.execute(delete(Login).where(Login.token == hash_token(token)))

    def find(self, token: str, *, keep_alive: bool) -> Principal | None:
        """Return the account of a session; None where the session has ended or was idle too long.

        A clock that is set back does not lengthen it: see `storage.clock`.

        Args:
            token: The cookie's value.
            keep_alive: Whether this use keeps the session alive; a page that watches by itself does not.
        """
        with self._store.read() as session:
            login = session.get(Login, hash_token(token))
            account = None if login is None else session.get(Account, login.account)
        if login is None or account is None or account.disabled:
            return None
        time = self._store.clock.now()
        ahead = max(login.seen, login.created) > time + _SKEW  # the clock was set back while the server was down
        idle, age = time - login.seen, time - login.created
        if ahead or idle > self._settings.session_idle or age > self._settings.session_longest:
            self.logout(token)
            return None
        if keep_alive and time - login.seen > min(_SEEN_EVERY, self._settings.session_idle / 4):
            with self._store.write() as session:
                if (current := session.get(Login, login.token)) is not None:
                    current.seen = time
        return principal_of(account, "session", login.csrf)


def _login_refused() -> CredentialsError:
    return CredentialsError(
        "the login",
        "was refused: the name or the password is wrong, or the account is locked.",
        "After some wrong passwords an account is locked for a quarter of an hour.",
        code="wrong-login",
    )
