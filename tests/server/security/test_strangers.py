"""What strangers can't do: lock a colleague out, keep others from logging in, or fill the audit log."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from pneumoscope.server.errors import BusyError, CredentialsError
from pneumoscope.server.security import login_pool, refusals, sessions
from pneumoscope.server.security.accounts import AccountChanges, Accounts
from pneumoscope.server.security.login_pool import LoginPool
from pneumoscope.server.security.refusals import RefusalSampler
from pneumoscope.server.security.sessions import Sessions, network_of
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.clock import SteadyClock
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Access, LoginAttempt
from server.client import Client, serve_client
from server.stub_passwords import StubPasswords

PASSWORD = "correct horse battery"
AFTER = 3
"""Wrong passwords that lock."""


@pytest.fixture
def logins(store: Store) -> Sessions:
    Accounts(store, StubPasswords()).add("reader", PASSWORD, "reader", sees_names=False)  # type: ignore[arg-type]
    settings = replace(store.settings, lockout_after=AFTER, lockout=900)
    return Sessions(store, settings, StubPasswords())  # type: ignore[arg-type]


def works(logins: Sessions, password: str, address: str) -> bool:
    try:
        return bool(logins.login("reader", password, address))
    except CredentialsError:
        return False


def test_a_stranger_locks_an_account_for_the_own_address_alone(store: Store, logins: Sessions) -> None:
    assert not any(works(logins, "wrong", "203.0.113.9") for _ in range(AFTER))
    assert not works(logins, PASSWORD, "203.0.113.9")
    assert works(logins, PASSWORD, "10.0.0.5")
    assert not works(logins, PASSWORD, "203.0.113.9")  # another's login lifts no lock
    later = store.clock.now() + 901
    store.clock = SteadyClock(lambda: later)
    assert works(logins, PASSWORD, "203.0.113.9")


def test_many_addresses_lock_it_for_all_but_those_that_had_the_right_password(logins: Sessions) -> None:
    """Else a sender with many addresses could guess without end."""
    assert works(logins, PASSWORD, "10.0.0.5")
    for number in range(sessions._EVERYWHERE_FACTOR * AFTER):
        assert not works(logins, "wrong", f"198.51.100.{number}")
    assert not works(logins, PASSWORD, "192.0.2.1")
    assert works(logins, PASSWORD, "10.0.0.5")


def test_a_new_password_lifts_all_locks(store: Store, logins: Sessions) -> None:
    assert not any(works(logins, "wrong", "10.0.0.5") for _ in range(AFTER))
    accounts = Accounts(store, StubPasswords())  # type: ignore[arg-type]
    accounts.change_named("reader", AccountChanges(password="another long passphrase"))
    assert works(logins, "another long passphrase", "10.0.0.5")


def test_the_rows_of_an_account_do_not_grow_without_end(
    store: Store, logins: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MOST_ADDRESSES", 5)
    assert works(logins, PASSWORD, "10.0.0.5")
    for number in range(20):
        works(logins, "wrong", f"198.51.100.{number}")
    with store.read() as session:
        assert (session.scalar(select(func.count()).select_from(LoginAttempt)) or 0) <= 6
        assert session.scalar(select(func.count()).where(LoginAttempt.known)) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.5", "10.0.0.5"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_address_of_ipv6_is_counted_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_logins_have_a_few_threads_of_their_own_and_a_limit_for_each_address() -> None:
    """Ten of a stranger: four are taken, two at once; a colleague comes after them and not after all."""
    gate, running, most = threading.Event(), [0], [0]

    def login() -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        gate.wait(5)
        running[0] -= 1
        return "in"

    async def flood() -> list[object]:
        pool = LoginPool()
        strangers = [asyncio.create_task(pool.run("203.0.113.9", login)) for _ in range(10)]
        await asyncio.sleep(0.05)
        colleague = asyncio.create_task(pool.run("10.0.0.5", login))
        await asyncio.sleep(0.05)
        gate.set()
        return await asyncio.gather(*strangers, colleague, return_exceptions=True)

    outcomes = asyncio.run(flood())
    kinds = Counter(type(outcome) for outcome in outcomes)
    assert kinds == {str: login_pool._OF_ADDRESS + 1, BusyError: 10 - login_pool._OF_ADDRESS}
    assert outcomes[-1] == "in"
    assert most[0] <= login_pool._AT_ONCE


def test_refusals_are_written_up_to_a_number_then_sampled_and_counted() -> None:
    moment = [0.0]
    sampler = RefusalSampler(lambda: moment[0])
    written = sum(sampler.admit("a") for _ in range(5000))
    assert written == refusals.OF_ADDRESS + (5000 - refusals.OF_ADDRESS) // refusals.SAMPLE
    assert sampler.admit("b")  # another address is still seen
    assert sampler.take_left_out() == 0  # the window goes on
    moment[0] = refusals.WINDOW
    assert sampler.take_left_out() == 5000 - written
    assert sampler.take_left_out() == 0
    assert sampler.admit("a")
    moment[0] *= 2
    assert sum(sampler.admit(f"address {number}") for number in range(1000)) <= refusals.OF_ALL + 1


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(replace(settings, accounts=True)) as client:
        yield client


def test_the_audit_log_of_strangers_has_an_end_and_says_how_many_there_were(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "OF_ADDRESS", 2)
    monkeypatch.setattr(refusals, "WINDOW", 1e9)
    assert {client("GET", path).status_code for path in ["/api/studies"] * 5 + ["/nowhere"]} == {401}
    monkeypatch.setattr(refusals, "WINDOW", 0.0)
    assert client("GET", "/api/me").status_code == 401
    with client.app.state.context.store.read() as session:
        actions = list(session.scalars(select(Access.action)))
    assert actions == ["GET (unknown)"] * 2 + ["GET (unknown)", "4 refused requests without a login"]
