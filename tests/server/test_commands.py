"""`pneumoscope users` and `pneumoscope serve` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.main import app
from pneumoscope.core.errors import UsageError
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server import processes

PASSWORD = "correct horse battery\n"


def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    return result.exit_code, result.output


def test_accounts_from_the_first_admin_to_a_disabled_reader(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path / "home"))
    assert run("users", "add", "chief", "--admin", "--password-stdin", *home, stdin=PASSWORD)[0] == 0
    assert run("users", "add", "reader", "--sees-names", "--password-stdin", *home, stdin=PASSWORD)[0] == 0
    assert run("users", "add", "reader", "--password-stdin", *home, stdin=PASSWORD)[0] == 2
    assert run("users", "disable", "reader", *home)[0] == 0
    code, output = run("users", "list", "--json", *home)
    assert code == 0
    assert json.loads(output) == [
        {"name": "chief", "role": "admin", "sees_names": False, "disabled": False},
        {"name": "reader", "role": "reader", "sees_names": True, "disabled": True},
    ]


@pytest.mark.parametrize("command", [["list"], ["disable", "reader"], ["password", "reader", "--password-stdin"]])
def test_a_command_on_accounts_makes_no_folder(tmp_path: Path, command: list[str]) -> None:
    code, output = run("users", *command, "--home", str(tmp_path / "wrong"), stdin=PASSWORD)
    assert code == 2
    assert "is not a server's folder" in output
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "in the clear"),
        (("--host", "0.0.0.0", "--proxy", "10.0.0.1"), "no admin yet"),
        (("--accounts",), "no admin yet"),
        (("--database", "mysql://x/y"), "--database"),
    ],
)
def test_an_unsafe_server_does_not_start(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    code, output = run("serve", "--home", str(tmp_path / "home"), *options)
    assert code == 2
    assert words in output


def test_a_server_says_that_it_starts_before_its_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise UsageError("the test", "stops here.")

    monkeypatch.setattr(processes, "prepare", stop)  # called before the imports
    code, output = run("serve")
    assert code == 2
    assert output.index(DISCLAIMER) < output.index("The server starts.") < output.index("stops here")


def test_the_monitor_names_what_is_not_there_and_makes_nothing(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path / "home"))
    assert run("users", "add", "chief", "--admin", "--password-stdin", *home, stdin=PASSWORD)[0] == 0
    wrong = str(tmp_path / "wrong")
    for options, words in (
        (("--model", "nix"), "--model nix: is not on this server. There are: opacity, "),
        (("--models", wrong), f"--models {wrong}: is not a folder."),
        (("--database", f"sqlite:///{wrong}"), f"--database {wrong}: is not there."),
    ):
        code, output = run("monitor", *home, *options)
        assert (code, words in output) == (2, True), output
    assert run("serve", *home, "--models", wrong)[0] == 2
    assert not Path(wrong).exists()


def test_the_monitor_makes_no_folder_and_checks_its_numbers_first(tmp_path: Path) -> None:
    code, output = run("monitor", "--home", str(tmp_path / "wrong"))
    assert code == 2
    assert "is not a server's folder" in output
    assert not (tmp_path / "wrong").exists()
    code, output = run("monitor", "--false-alarms", "0", "--home", str(tmp_path / "wrong"))
    assert code == 2
    assert "--false-alarms 0" in output
