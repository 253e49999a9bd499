"""A server's settings and store in a temporary folder, with a tiny model whose answers are worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bundles import write_bundle
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, open_store


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
