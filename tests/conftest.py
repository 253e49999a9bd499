"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exports import reuse_exports
from program import Program, environment

if TYPE_CHECKING:
    from pneumoscope.data.manifest import Manifest


SLOW = (
    "docs/test_pages",
    "workflows/",
    "web/",
    "examples/",
    "training/distributed/",
    "tuning/test_study",
    "training/loop/test_fit",
    "training/test_features",
    "server/test_crash",
    "server/api/test_fuzz",
    "export/",
    "docs/test_contributing",
    "cli/test_demo",
    "training/",
    "tuning/",
)
"""Where slow tests lie. They run first, so that no process is left with one of them while the other has none."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first; the others stay in their order."""
    folder = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = item.path.relative_to(folder).as_posix() if item.path.is_relative_to(folder) else ""
        return next((number for number, place in enumerate(SLOW) if name.startswith(place)), len(SLOW))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what the test files import; with torch a search takes half a second."""
    gc.freeze()


def _shared_folder() -> Path:
    """Return the folder of the real data: PNEUMOSCOPE_SHARED, or ``shared`` beside the project."""
    return Path(os.environ.get("PNEUMOSCOPE_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the real data and weights. Skips the test, with a reason, where the folder is absent."""
    folder = _shared_folder()
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data: {folder} does not exist (set PNEUMOSCOPE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def phantom_set(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Phantoms with parts: 12 patients of each of 3 classes, about 60 images of 96 pixels, with lung masks.

    The manifest file is ``manifest.parquet`` in the root of its sources. All tests share the files, so no
    test may write to them.
    """
    from pneumoscope.data.manifest import write_manifest
    from pneumoscope.data.phantoms.dataset import write_set
    from pneumoscope.data.splits import assign_parts

    folder = tmp_path_factory.mktemp("phantoms")
    manifest = write_set(folder, 12, ("covid-19", "normal", "viral-pneumonia"), seed=0, size=96)
    manifest = assign_parts(manifest, {"validation": 0.2, "calibration": 0.2, "test": 0.2}, seed=0)
    write_manifest(manifest, folder / "manifest.parquet")
    return manifest


def _run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of this test run, which all its processes share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program with its imports done, torch among them where it is installed."""
    program = Program(_run_folder(tmp_path_factory), environment(tmp_path_factory.mktemp("program")))
    yield program
    program.close()


@pytest.fixture(scope="session")
def program_without_torch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program with its imports done, but not torch's."""
    program = Program(_run_folder(tmp_path_factory), environment(tmp_path_factory.mktemp("program")), torch=False)
    yield program
    program.close()


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[str]:
    """Address of a PostgreSQL server for this test run. Skips the test, with a reason, where it is not installed."""
    from postgres import programs, server

    pytest.importorskip("psycopg", reason="no psycopg: pip install 'pneumoscope[postgres]'")
    folder = programs()
    if folder is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    with server(folder) as url:
        yield url


@pytest.fixture
def postgres(_postgres_server: str, request: pytest.FixtureRequest) -> str:
    """Address of an empty database for one test: Optuna and the server both have a table `studies`."""
    import psycopg

    name = f"t{abs(hash(request.node.nodeid)):x}"
    with psycopg.connect(_postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return _postgres_server.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session", autouse=True)
def _no_fsync() -> Iterator[None]:
    """Let no test wait for the disk: what it writes need not outlive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_trace_a_structure(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no test trace a network whose like this test run has traced before."""
    reuse_exports(_run_folder(tmp_path_factory))


@pytest.fixture(scope="session", autouse=True)
def _temporary_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests out of the user's data folder, which holds openings and evidence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PNEUMOSCOPE_HOME", str(tmp_path_factory.mktemp("home")))
        yield
