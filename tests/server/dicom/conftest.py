"""An archive beside the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pneumoscope.server.settings import Settings
from server.dicom.orthanc import Orthanc, find_program


@pytest.fixture(params=["sqlite", "postgresql"])
def either(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings with either database, empty."""
    if request.param == "postgresql":
        return replace(settings, database=request.getfixturevalue("postgres"))
    return settings


@pytest.fixture
def start_orthanc(tmp_path: Path) -> Iterator[Callable[..., Orthanc]]:
    """Start an archive that ends with the test; skips where Orthanc is not installed."""
    program, started = find_program(), []

    def start(**options: Any) -> Orthanc:
        folder = tmp_path / f"orthanc-{len(started)}"
        folder.mkdir()
        started.append(Orthanc(program, folder, options.pop("peers", {}), **options))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.stop()
