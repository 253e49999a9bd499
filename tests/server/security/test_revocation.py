"""What ends sessions and tokens: a new password, time by any clock, an admin; open streams end with them."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from pneumoscope.server.api import events
from pneumoscope.server.api.events import Streams, access_check
from pneumoscope.server.security.accounts import AccountChanges, Accounts
from pneumoscope.server.security.sessions import Sessions
from pneumoscope.server.security.tokens import DAY, LONGEST_DAYS, Tokens
from pneumoscope.server.storage.clock import SteadyClock
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Account, Event, Login, Token
from pneumoscope.server.studies.backup import back_up
from server.stub_passwords import StubPasswords

PASSWORD = "correct horse battery"


@pytest.fixture
def accounts(store: Store) -> Accounts:
    accounts = Accounts(store, StubPasswords())  # type: ignore[arg-type]
    accounts.add("reader", PASSWORD, "reader", sees_names=False)
    return accounts


@pytest.fixture
def sessions(store: Store, accounts: Accounts) -> Sessions:
    settings = replace(store.settings, session_idle=900, session_longest=3600)
    return Sessions(store, settings, StubPasswords())  # type: ignore[arg-type]


@pytest.fixture
def reader(accounts: Accounts) -> str:
    return next(account.id for account in accounts.list_all())


def test_a_new_password_ends_sessions_and_tokens(
    store: Store, accounts: Accounts, sessions: Sessions, reader: str
) -> None:
    cookie, _ = sessions.login("reader", PASSWORD)
    _, token = Tokens(store).create(reader, "program")
    assert Tokens(store).find(token) is not None
    accounts.change_named("reader", AccountChanges(password="another long passphrase"))
    assert sessions.find(cookie, keep_alive=False) is None
    assert Tokens(store).find(token) is None


def test_a_token_ends_when_its_days_are_over(store: Store, reader: str) -> None:
    tokens = Tokens(store)
    row, token = tokens.create(reader, "program", days=7)
    assert row.expires == pytest.approx(now() + 7 * DAY, abs=5)
    with store.write() as session:
        session.execute(update(Token).values(expires=now() - 1))
    assert tokens.find(token) is None
    assert tokens.create(reader, "forever", days=10**6)[0].expires < now() + (LONGEST_DAYS + 1) * DAY


@pytest.mark.parametrize(("wall", "passed"), [(-(10**7), 901.0), (0, 901.0), (901.0, 0)])
def test_an_idle_session_ends_whatever_is_done_to_the_wall_clock(
    store: Store, sessions: Sessions, wall: float, passed: float
) -> None:
    times = {"wall": 2e9, "monotonic": 50.0}
    store.clock = SteadyClock(lambda: times["wall"], lambda: times["monotonic"])
    cookie, _ = sessions.login("reader", PASSWORD)
    times["wall"] += 100
    assert sessions.find(cookie, keep_alive=False) is not None
    times["wall"] += wall
    times["monotonic"] += passed
    assert sessions.find(cookie, keep_alive=False) is None


def test_a_session_from_the_future_of_a_restarted_server_has_ended(store: Store, sessions: Sessions) -> None:
    cookie, _ = sessions.login("reader", PASSWORD)
    store.clock = SteadyClock(lambda: now() - 3000)
    assert sessions.find(cookie, keep_alive=False) is None


def test_a_clock_never_goes_back() -> None:
    wall, steps = iter([100.0, 110.0, 50.0, 60.0, 200.0]), iter([0.0, 10.0, 12.0, 30.0, 31.0])
    clock = SteadyClock(lambda: next(wall), lambda: next(steps))
    assert [clock.now() for _ in range(4)] == [110.0, 112.0, 130.0, 200.0]


def test_a_backup_holds_no_session_and_no_token(store: Store, sessions: Sessions, reader: str, tmp_path: Path) -> None:
    sessions.login("reader", PASSWORD)
    row, _ = Tokens(store).create(reader, "program")
    back_up(store, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "copy" / "pneumoscope.sqlite") as copy:
        assert copy.execute("SELECT count(*) FROM logins").fetchone() == (0,)
        assert copy.execute("SELECT count(*) FROM tokens").fetchone() == (0,)
        assert copy.execute("SELECT count(*) FROM accounts").fetchone() == (1,)
    assert row.token.encode() not in (tmp_path / "copy" / "pneumoscope.sqlite").read_bytes()
    with store.read() as session:
        assert session.query(Login).count() == 1


@pytest.mark.parametrize("kind", ["session", "token"])
@pytest.mark.parametrize("busy", [False, True])
def test_an_open_stream_ends_soon_after_its_session_or_token(
    store: Store, accounts: Accounts, sessions: Sessions, reader: str, kind: str, busy: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Also where events come without a pause, so that the stream is never quiet."""
    assert events._CHECK_ACCESS_EVERY + events._EVERY < 5
    monkeypatch.setattr(events, "_CHECK_ACCESS_EVERY", 0.2)
    monkeypatch.setattr(events, "_EVERY", 0.05)
    if kind == "session":
        cookie, user = sessions.login("reader", PASSWORD)
        may_go_on = access_check(lambda: sessions.find(cookie, keep_alive=False), user)
    else:
        _, token = Tokens(store).create(reader, "program")
        found = Tokens(store).find(token)
        assert found is not None
        may_go_on = access_check(lambda: Tokens(store).find(token), found)

    async def watch() -> int:
        pieces, stream = 0, Streams(5).open(store, None, may_go_on)
        async for _ in stream:
            pieces += 1
            if pieces == 1:
                accounts.change_named("reader", AccountChanges(disabled=True))
            if busy:
                with store.write(durable=False) as session:
                    number = new_id()
                    session.append(
                        Event, {"kind": "study", "study": number, "subject": number, "state": "x", "at": now()}
                    )
        return pieces

    assert asyncio.run(asyncio.wait_for(watch(), 3)) >= 1


def test_an_account_whose_role_changed_may_not_go_on(store: Store, sessions: Sessions) -> None:
    cookie, user = sessions.login("reader", PASSWORD)
    may_go_on = access_check(lambda: sessions.find(cookie, keep_alive=False), user)
    assert may_go_on()
    with store.write() as session:
        session.execute(update(Account).values(role="admin"))
    assert not may_go_on()
