"""Changes of accounts: each is one transaction, and an admin who may log in always remains."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from pneumoscope.server.api.routes import accounts as routes
from pneumoscope.server.errors import ConflictError, ForbiddenError, LoginRequiredError
from pneumoscope.server.security.accounts import AccountChanges, Accounts
from pneumoscope.server.security.sessions import Sessions
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, open_store
from pneumoscope.server.storage.tables import Account
from server.client import Client, serve_client
from server.stub_passwords import StubPasswords

PASSWORD, ANOTHER = "correct horse battery", "another long passphrase"
NO_ADMIN = [AccountChanges(role="reader"), AccountChanges(disabled=True)]


@pytest.fixture(params=["sqlite", "postgresql"])
def department(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Of a server with logins, on each database."""
    database = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    return replace(settings, host="10.1.2.3", proxy="10.1.2.1", database=database)


@pytest.fixture
def store(department: Settings) -> Iterator[Store]:
    store = open_store(department)
    yield store
    store.close()


@pytest.fixture
def accounts(store: Store) -> Accounts:
    """The accounts of two admins, ann and bob."""
    accounts = Accounts(store, StubPasswords())  # type: ignore[arg-type]
    for name in ("ann", "bob"):
        accounts.add(name, PASSWORD, "admin", sees_names=False)
    return accounts


def find(accounts: Accounts, name: str) -> Account:
    return next(row for row in accounts.list_all() if row.name == name)


@pytest.mark.parametrize("change", [{"role": "reader"}, {"disabled": True}])
def test_of_two_admins_who_lock_each_other_out_at_once_one_remains(
    department: Settings, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """Both requests have passed the check of their sender before either changes anything."""
    both = threading.Barrier(2, timeout=20)
    check = routes.check_logged_in

    def check_and_meet(*arguments: Any) -> None:
        check(*arguments)
        both.wait()

    monkeypatch.setattr(routes, "check_logged_in", check_and_meet)
    monkeypatch.setattr("pneumoscope.server.app.Passwords", StubPasswords)
    with serve_client(department) as first:
        second = Client(first.app)
        for client, name in ((first, "ann"), (second, "bob")):
            client._base = "https://pneumo.example"
            assert client.login(name, PASSWORD).status_code == 200
        numbers = {row.name: row.id for row in accounts.list_all()}
        with ThreadPoolExecutor(2) as pool:
            answers = [
                pool.submit(client, "PATCH", f"/api/accounts/{numbers[other]}", json=change)
                for client, other in ((first, "bob"), (second, "ann"))
            ]
            statuses = sorted(answer.result().status_code for answer in answers)
    assert statuses == [200, 403]
    assert accounts.has_admin()


@pytest.mark.parametrize("changes", NO_ADMIN)
def test_the_last_admin_stays(accounts: Accounts, changes: AccountChanges) -> None:
    accounts.change_named("ann", AccountChanges(disabled=True))
    with pytest.raises(ConflictError, match="last admin"):
        accounts.change_named("bob", changes)
    bob = find(accounts, "bob")
    assert (bob.role, bob.disabled) == ("admin", False)
    accounts.change_named("bob", AccountChanges(sees_names=True, password=ANOTHER))
    accounts.change_named("ann", AccountChanges(disabled=False))
    accounts.change_named("bob", changes)
    assert accounts.has_admin()


@pytest.mark.parametrize("changes", NO_ADMIN)
def test_who_is_no_admin_any_more_changes_nothing(accounts: Accounts, changes: AccountChanges) -> None:
    ann, bob = find(accounts, "ann"), find(accounts, "bob")
    accounts.change(bob.id, changes, by=ann.id)
    with pytest.raises(ForbiddenError):
        accounts.change(ann.id, AccountChanges(sees_names=True), by=bob.id)
    with pytest.raises(ForbiddenError):
        accounts.add("eve", PASSWORD, "admin", sees_names=True, by=bob.id)
    assert [(row.name, row.sees_names) for row in accounts.list_all()] == [("ann", False), ("bob", False)]


def test_a_change_is_made_whole_or_not_at_all(store: Store, accounts: Accounts) -> None:
    """The password is the last part of the request, and what came before it is not kept where it fails."""
    ann, bob = find(accounts, "ann"), find(accounts, "bob")
    sessions = Sessions(store, store.settings, StubPasswords())  # type: ignore[arg-type]
    token, _ = sessions.login("bob", PASSWORD)
    accounts.change_named("ann", AccountChanges(sees_names=True))
    with pytest.raises(ForbiddenError):
        accounts.change(ann.id, AccountChanges(sees_names=False, password=ANOTHER), by="nobody")
    accounts.change_named("ann", AccountChanges(disabled=True))
    with pytest.raises(ConflictError):  # bob is the last admin
        accounts.change_named("bob", AccountChanges(role="reader", sees_names=True, password=ANOTHER))
    assert (find(accounts, "ann").sees_names, find(accounts, "bob").sees_names) == (True, False)
    assert sessions.find(token, keep_alive=False) is not None
    assert sessions.login("bob", PASSWORD)[1].id == bob.id


def test_a_password_that_an_admin_sets_meanwhile_stands(store: Store, accounts: Accounts) -> None:
    """A thief of the old password does not win against the admin who has just taken it away."""
    sessions = Sessions(store, store.settings, StubPasswords())  # type: ignore[arg-type]
    token, _ = sessions.login("bob", PASSWORD)
    accounts.change(find(accounts, "bob").id, AccountChanges(password=ANOTHER), by=find(accounts, "ann").id)
    with pytest.raises(LoginRequiredError):
        accounts.change_own_password(token, "a passphrase of the thief")
    assert sessions.login("bob", ANOTHER)[1].name == "bob"
