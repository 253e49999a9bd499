"""Sessions of people who log in with a name and a password.

A wrong password, an unknown name, a disabled and a locked account get the same answer after the same time, so that
nobody learns which names exist. The session's token is stored as a hash only.
"""

from __future__ import annotations

import ipaddress
import secrets

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pneumoscope.server.errors import CredentialsError
from pneumoscope.server.security.passwords import Passwords
from pneumoscope.server.security.principal import Principal, principal_of
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import hash_token
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Account, Login, LoginAttempt

_EVERYWHERE = "*"
"""Stands for all addresses together."""
_EVERYWHERE_FACTOR = 10
"""An account is locked for all addresses after so many times the wrong passwords that lock it for one."""
_MOST_ADDRESSES = 500
"""Rows of an account; above it those are dropped that are neither locked nor known."""
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

    def login(self, name: str, password: str, address: str = "") -> tuple[str, Principal]:
        """Begin a session; return its token and the account.

        Wrong passwords lock an account for the address that they come from, so that a stranger can't lock a colleague
        out. Many of them, from wherever, lock it for all addresses but those that have had the right password.

        Args:
            name: Of the account.
            password: Its password.
            address: Network address of the sender.

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
            here = _find_attempts(session, current.id, network_of(address), time)
            everywhere = _find_attempts(session, current.id, _EVERYWHERE, time)
            locked = here.locked_until > time or (everywhere.locked_until > time and not here.known)
            # The account's own time is that of its last lock; an admin who sets it back lifts all of them.
            allowed = not current.disabled and not (locked and current.locked_until > time)
            if right and allowed:
                here.failures, here.known, everywhere.failures, current.failures = 0, True, 0, 0
                if self._passwords.needs_rehash(current.password):
                    current.password = self._passwords.hash(password)
                token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
                session.add(Login(token=hash_token(token), account=current.id, csrf=csrf, created=time, seen=time))
                session.execute(delete(Login).where(Login.created < time - self._settings.session_longest))
                return token, principal_of(current, "session", csrf)
            if allowed:
                for attempts, limit in ((here, 1), (everywhere, _EVERYWHERE_FACTOR)):
                    attempts.failures += 1
                    if attempts.failures >= limit * self._settings.lockout_after:
                        attempts.failures, attempts.locked_until = 0, time + self._settings.lockout
                        current.locked_until = attempts.locked_until
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


def network_of(address: str) -> str:
    """Return the address that logins are counted by: of IPv6 the network of 64 bits, which one sender has whole."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _find_attempts(session: Session, account: str, address: str, time: float) -> LoginAttempt:
    """Return the row of an account and an address, a new one where there is none."""
    row = session.get(LoginAttempt, (account, address))
    if row is None:
        of_account = LoginAttempt.account == account
        if (session.scalar(select(func.count()).select_from(LoginAttempt).where(of_account)) or 0) >= _MOST_ADDRESSES:
            idle = ~LoginAttempt.known & (LoginAttempt.locked_until <= time) & (LoginAttempt.address != _EVERYWHERE)
            session.execute(delete(LoginAttempt).where(of_account, idle))
        row = LoginAttempt(account=account, address=address, failures=0, locked_until=0.0, known=False)
        session.add(row)
    return row


def _login_refused() -> CredentialsError:
    return CredentialsError(
        "the login",
        "was refused: the name or the password is wrong, or the account is locked.",
        "After some wrong passwords an account is locked for a quarter of an hour.",
        code="wrong-login",
    )
