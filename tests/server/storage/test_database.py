"""The store: migrations create the tables that the code expects, on both databases; sealed values stay sealed."""

from __future__ import annotations

import re
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import Secret
from pneumoscope.server.storage.database import open_store
from pneumoscope.server.storage.tables import Base, StoreSetting, Study


def test_migrations_make_the_tables_that_the_code_expects(settings: Settings) -> None:
    store = open_store(settings)
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    store.close()


def test_migrations_make_the_same_tables_on_postgresql(tmp_path: Path, postgres: str) -> None:
    store = open_store(Settings(home=tmp_path, database=postgres))
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    store.close()


def test_servers_that_start_together_make_one_store(settings: Settings) -> None:
    numbers: list[str] = []

    def start() -> None:
        store = open_store(settings)
        with store.read() as session:
            numbers.append(session.get_one(StoreSetting, "store").value)
        store.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(numbers) == 4
    assert len(set(numbers)) == 1


def test_sqlite_survives_a_power_cut_by_its_settings(settings: Settings) -> None:
    store = open_store(settings)
    with store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
    store.close()


def test_a_transaction_that_raises_changes_nothing(settings: Settings) -> None:
    store = open_store(settings)
    with pytest.raises(ZeroDivisionError), store.write() as session:
        session.add(StoreSetting(name="half", value="done"))
        session.flush()
        _ = 1 / 0
    with store.read() as session:
        assert session.get(StoreSetting, "half") is None
    store.close()


def test_another_secret_is_refused(settings: Settings, tmp_path: Path) -> None:
    open_store(settings).close()
    other = tmp_path / "other.key"
    other.write_text("x" * 64)
    with pytest.raises(UsageError, match="not the secret"):
        open_store(Settings(home=settings.home, secret=other))


def _keep_an_image(settings: Settings) -> Path:
    """Leave a file of an image as a server does, with its row."""
    store = open_store(settings)
    with store.write() as session:
        session.add(Study(id="s", key=None, patient=None, received=0.0, received_by="a"))
    store.close()
    file = settings.files / "ab" / "abc.png"
    file.parent.mkdir()
    file.write_bytes(b"pixels")
    return file


def test_an_empty_database_does_not_take_a_folder_with_pixels(settings: Settings, tmp_path: Path) -> None:
    """The start of a server deletes files that no row names: with a wrong address these would be all."""
    file = _keep_an_image(settings)
    other = tmp_path / "typo.sqlite"
    database = settings.home / "pneumoscope.sqlite"
    for state in ("another", "an empty one", "none"):
        if state == "an empty one":
            other.touch()
        if state == "none":
            database.rename(tmp_path / "away")
        address = None if state == "none" else f"sqlite:///{other}"
        with pytest.raises(UsageError, match=r"holds the pixels of another database; this one is empty\. Name the"):
            open_store(replace(settings, database=address))
        assert other.exists() == (state != "another")
    assert not list(settings.home.glob("pneumoscope.sqlite*"))  # nothing lies in the way of a backup
    (tmp_path / "away").rename(database)
    open_store(settings).close()
    assert file.is_file()


def test_an_empty_database_on_postgresql_does_not_take_a_folder_with_pixels(settings: Settings, postgres: str) -> None:
    _keep_an_image(settings)
    with pytest.raises(UsageError, match="holds the pixels of another database"):
        open_store(replace(settings, database=postgres))


def test_servers_of_an_empty_database_on_postgresql_share_one_folder(
    settings: Settings, tmp_path: Path, postgres: str
) -> None:
    first = replace(settings, database=postgres)
    open_store(first).close()
    open_store(first).close()
    with pytest.raises(UsageError, match="does not hold the pixels of this database"):
        open_store(replace(first, home=tmp_path / "other", secret=first.secret_file))


def test_an_address_whose_port_is_no_number_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        open_store(replace(settings, database="postgresql://tester:secret@localhost:port/x"))


def test_a_database_on_postgresql_that_cannot_be_used_says_what_to_do(settings: Settings, postgres: str) -> None:
    with pytest.raises(RunError, match=r'database "none" does not exist\. Create it \(createdb\), or name another'):
        open_store(replace(settings, database=re.sub(r"/t\w+\?", "/none?", postgres)))
    store = open_store(replace(settings, database=postgres))
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    store.close()
    with pytest.raises(RunError, match=r"already exists\. It holds tables that this program did not make"):
        open_store(replace(settings, database=postgres))


def test_only_the_owner_can_read_the_secret(settings: Settings) -> None:
    open_store(settings).close()
    assert stat.S_IMODE(settings.secret_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700


def test_sealed_identities_open_in_their_own_row_only() -> None:
    secret = Secret(b"k" * 32)
    sealed = secret.seal({"name": "Doe^Jane"}, "row-1")
    assert b"Jane" not in sealed
    assert secret.unseal(sealed, "row-1") == {"name": "Doe^Jane"}
    with pytest.raises(RunError):
        secret.unseal(sealed, "row-2")
    with pytest.raises(RunError):
        Secret(b"l" * 32).unseal(sealed, "row-1")


def test_parts_of_a_key_do_not_run_together() -> None:
    secret = Secret(b"k" * 32)
    assert secret.lookup_key("patient", "ab", "c") != secret.lookup_key("patient", "a", "bc")
    assert secret.lookup_key("patient", "ab", "c") != secret.lookup_key("study", "ab", "c")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "pacs.example"])
def test_other_machines_need_accounts_and_encryption(host: str, tmp_path: Path) -> None:
    open_to_all = Settings(home=tmp_path, host=host)
    assert open_to_all.needs_login
    with pytest.raises(UsageError, match="in the clear"):
        open_to_all.validate()
    assert Settings(home=tmp_path, host=host, proxy="10.0.0.1").validate().needs_login


def test_the_local_machine_needs_neither_accounts_nor_encryption(tmp_path: Path) -> None:
    assert not Settings(home=tmp_path).validate().needs_login
    assert not Settings(home=tmp_path, host="::1").validate().needs_login
