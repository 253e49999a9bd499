"""Erasure: what was stored of a study is in no file of the database afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, open_store
from pneumoscope.server.storage.tables import Read, Reference, Study
from pneumoscope.server.studies.erasure import erase

WORDS = "a finding that nobody else has"


def add_study(store: Store) -> None:
    with store.write() as session:
        session.add(Study(id="s", key=None, patient=None, received=0.0, received_by="a"))
        session.flush()
        session.add(
            Read(
                id="r", study="s", reader="a", version=1, stage="unaided", state="final",
                content={"text": WORDS * 50}, displayed=[], at=0.0,
            )
        )  # fmt: skip
        session.add(Reference(id="f", study="s", standard="CT", label="x", sealed=WORDS.encode(), by="a", at=0.0))


def raw(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.glob("pneumoscope.sqlite*"))


def test_nothing_of_an_erased_study_is_in_the_databases_files(store: Store, settings: Settings) -> None:
    """Neither in the pages that it had, nor in the write-ahead log, while the server goes on."""
    add_study(store)
    assert WORDS.encode() in raw(settings.home)
    erase(store, ["s"])
    assert WORDS.encode() not in raw(settings.home)
    assert (settings.home / "pneumoscope.sqlite-wal").stat().st_size == 0


def test_a_reader_delays_the_cleaning_and_does_not_stop_the_erasure(
    store: Store, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pneumoscope.server.storage.database._CHECKPOINT_MS", 20)
    add_study(store)
    with store.read() as session:
        assert session.get(Study, "s") is not None
        erase(store, ["s"])
        assert "write-ahead log" in caplog.text
    store.clear_erased()
    assert WORDS.encode() not in raw(settings.home)


def test_dead_rows_are_vacuumed_on_postgresql(tmp_path: Path, postgres: str) -> None:
    store = open_store(Settings(home=tmp_path, database=postgres))
    add_study(store)
    erase(store, ["s"])
    with store.engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        dead = connection.exec_driver_sql("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'reads'").scalar()
    assert dead == 0
    store.close()
