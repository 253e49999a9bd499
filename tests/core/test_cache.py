"""Files outside the user's folders are listed with their sizes. Caches can be cleared; records are never deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.main import app
from pneumoscope.core.cache import clear_cache, list_cache
from pneumoscope.core.errors import UsageError


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches and records of known sizes."""
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))
    for name, size in (
        ("cache/shard.npy", 5000),
        ("cache/features/a.maps", 300),
        ("cache/imports/ab/1.npy", 70),
        ("cache/checks/a.json", 20),
        ("cache/checks/a.npz", 10),
        ("home/evidence/identity/opening.json", 7),
        ("home/openings.ledger.jsonl", 6),
        ("home/serve/files/ab/image.png", 9),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return tmp_path


def test_the_list_has_every_kind_with_files_and_bytes() -> None:
    kinds = {entry.name: (entry.files, entry.bytes, entry.clearable) for entry in list_cache()}
    assert kinds == {
        "images": (1, 5000, True),
        "features": (1, 300, True),
        "imports": (1, 70, True),
        "checks": (2, 30, True),
        "evidence": (1, 7, False),
        "ledger": (1, 6, False),
        "server": (1, 9, False),
    }


def test_clearing_deletes_caches_and_leaves_records(folders: Path) -> None:
    assert clear_cache(["checks"]) == 30
    assert clear_cache() == 5370
    assert not [path for path in (folders / "cache").rglob("*") if path.is_file()]
    assert len([path for path in (folders / "home").rglob("*") if path.is_file()]) == 3


@pytest.mark.parametrize("name", ["evidence", "chekcs"])
def test_only_caches_can_be_cleared(name: str) -> None:
    with pytest.raises(UsageError, match="is no cache"):
        clear_cache([name])
    assert all(entry.files for entry in list_cache())


def test_the_command_shows_sizes_and_folders(folders: Path) -> None:
    result = CliRunner().invoke(app, ["cache"])
    assert result.exit_code == 0
    for words in ("5 kB", "300 B", "2 files", str(folders / "cache" / "checks"), str(folders / "home" / "serve")):
        assert words in result.stdout
    rows = json.loads(CliRunner().invoke(app, ["cache", "--json"]).stdout)
    assert {row["name"]: row["bytes"] for row in rows}["images"] == 5000


def test_the_command_asks_before_it_deletes(folders: Path) -> None:
    declined = CliRunner().invoke(app, ["cache", "clear"], input="n\n")
    assert (declined.exit_code, clear_cache(["features"])) == (1, 300)
    assert "Delete 5 kB (images 5 kB, features 300 B, imports 70 B, checks 30 B)?" in declined.stdout
    assert CliRunner().invoke(app, ["cache", "clear", "checks", "--yes"]).stdout == "Freed 30 B.\n"
    assert CliRunner().invoke(app, ["cache", "clear", "checks", "--yes"]).stdout == "There is nothing to clear.\n"
    assert (folders / "cache" / "shard.npy").is_file()
