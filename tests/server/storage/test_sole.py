"""One server for a data folder with SQLite, several for one PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.main import app
from pneumoscope.core.errors import UsageError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.sole import sole_server

pytest.importorskip("fcntl", reason="this system has no flock: a second server is not refused")
HOLD = """
import sys
from pathlib import Path
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.sole import sole_server
with sole_server(Settings(home=Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_server_does_not_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with sole_server(settings):
        result = CliRunner().invoke(app, ["serve", "--home", str(settings.home), "--port", "0"])
        assert result.exit_code == 2
        words = " ".join(result.output.split())
        assert "is in use by another server" in words
        assert "Stop that one" in words
        assert not (settings.home / "pneumoscope.sqlite").exists()  # it was refused before the database was touched
    with sole_server(settings):
        assert (settings.home / "server.lock").stat().st_mode & 0o077 == 0


def test_a_killed_server_leaves_no_lock(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(settings.home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=f"{settings.home}.*another server"), sole_server(settings):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with sole_server(settings):
            pass


def test_several_servers_share_postgresql(tmp_path: Path) -> None:
    settings = replace(Settings(home=tmp_path / "home"), database="postgresql://somebody@nowhere.example/x")
    with sole_server(settings), sole_server(settings):
        assert not settings.home.exists()
