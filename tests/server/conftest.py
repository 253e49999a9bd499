"""A server's settings and store in a temporary folder, with a tiny model whose answers are worked out by hand."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bundles import write_bundle
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import database
from pneumoscope.server.storage.database import Store, open_store


@pytest.fixture(scope="session", autouse=True)
def _migrate_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let a new SQLite database be a copy of the first one: its migrations take a tenth of a second of a core."""
    migrated, turns, migrate = tmp_path_factory.mktemp("migrated") / "empty.sqlite", threading.Lock(), database.migrate

    def copy_or_migrate(engine: Engine) -> None:
        path = Path(engine.url.database or "")
        with turns:
            new = engine.dialect.name == "sqlite" and path.is_file() and path.stat().st_size == 0
            if new and migrated.is_file():
                path.write_bytes(migrated.read_bytes())
                return
            migrate(engine)
            if new:
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("VACUUM INTO ?", (str(migrated),))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "migrate", copy_or_migrate)
        yield


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle ``tiny``."""
    pytest.importorskip("onnx", reason="no onnx: pip install 'pneumoscope[dev]'")
    folder = tmp_path_factory.mktemp("models")
    write_bundle(folder / "tiny")
    return folder


@pytest.fixture
def settings(tmp_path: Path, models: Path) -> Settings:
    return Settings(home=tmp_path / "home", models=models)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = open_store(settings)
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_store(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Store]:
    """A store on either database, empty."""
    if request.param == "postgresql":
        settings = replace(settings, database=request.getfixturevalue("postgres"))
    store = open_store(settings)
    yield store
    store.close()
