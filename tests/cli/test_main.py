"""The door: fast help, lazy commands, one clear line and the right exit code for every error."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module, util
from types import ModuleType
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from pneumoscope.cli import main
from pneumoscope.core.errors import CheckRefusedError, ImageError, TerminationRequest, UsageError
from pneumoscope.core.labels import DISCLAIMER

RUN = "from pneumoscope.cli.main import run; run()"


def pneumoscope(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a command that does what the test says at `pneumoscope act`, and return a function that calls it."""

    def install(action: Any, *arguments: str) -> Any:
        module = ModuleType("acting")
        module.__dict__["act"] = action
        monkeypatch.setitem(sys.modules, "acting", module)
        monkeypatch.setitem(main.COMMANDS, "act", main.Command("acting:act", "Acts."))
        return CliRunner().invoke(main.app, [*arguments, "act"])

    return install


def test_help_lists_every_command_and_the_disclaimer() -> None:
    done = pneumoscope("--help")
    assert done.returncode == 0
    assert DISCLAIMER in " ".join(done.stdout.split())
    for name in ("demo", "data", "phantoms", "recipes", "train", "evaluate", "predict", "models"):
        assert f"\n  {name} " in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from pneumoscope.cli.main import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "heavy = ('numpy', 'PIL', 'pandas', 'torch', 'scipy', 'rich', 'pydantic', 'onnxruntime', 'yaml')\n"
        "print('heavy:', [name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("name", list(main.COMMANDS))
def test_every_command_has_a_place_and_its_own_help(name: str) -> None:
    module, attribute = main.COMMANDS[name].place.split(":")
    assert util.find_spec(module), f"{module} is not there"
    assert hasattr(import_module(module), attribute)
    assert CliRunner().invoke(main.app, [name, "--help"]).exit_code == 0


def test_a_broken_command_breaks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(main.COMMANDS, "act", main.Command("no_such_module:act", "Acts."))
    assert CliRunner().invoke(main.app, ["--help"]).exit_code == 0


def test_an_unknown_command_suggests_the_nearest() -> None:
    done = pneumoscope("pedict", "x")
    assert done.returncode == 2
    assert "Did you mean 'predict'?" in done.stderr


def test_without_a_command_there_is_help() -> None:
    done = pneumoscope()
    assert done.returncode == 2
    assert "Commands:" in done.stdout + done.stderr


def test_the_version_is_the_package_version() -> None:
    from pneumoscope import __version__

    assert pneumoscope("--version").stdout == f"pneumoscope {__version__}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ImageError("a.png", "is empty.", "Copy it again."), 1),
        (UsageError("--x", "is unknown.", "Leave it out."), 2),
        (CheckRefusedError("site.parquet", "misses two groups.", "Collect them."), 3),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(command: Any, error: Exception, code: int) -> None:
    def act() -> None:
        raise error

    done = command(act)
    assert done.exit_code == code
    assert done.stderr == f"{error}\n"
    assert done.stdout == ""


def test_debug_shows_where_an_error_comes_from(command: Any) -> None:
    error = ImageError("a.png", "is empty.")

    def act() -> None:
        raise error

    assert command(act, "--debug").exception is error


def test_an_error_has_no_markup_of_its_own(command: Any) -> None:
    def act() -> None:
        raise ImageError("[bold]a.png", "is [red]empty.")

    assert command(act).stderr == "[bold]a.png: is [red]empty.\n"


def test_a_missing_extra_names_the_command_to_install_it(command: Any) -> None:
    def act() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch.nn")

    done = command(act)
    assert done.exit_code == 1
    assert "pip install 'pneumoscope[train]'" in done.stderr


def test_ctrl_c_is_a_sentence_and_130(command: Any) -> None:
    def act() -> None:
        raise KeyboardInterrupt("3 of 7 files were done.")

    done = command(act)
    assert done.exit_code == 130
    assert done.stderr == "Stopped by Ctrl-C. 3 of 7 files were done.\n"


def test_sigterm_is_another_sentence_and_143(command: Any) -> None:
    def act() -> None:
        raise TerminationRequest("3 of 7 files were done.")

    done = command(act)
    assert done.exit_code == 143
    assert done.stderr == "Stopped by a signal (SIGTERM). 3 of 7 files were done.\n"


def test_a_typer_app_can_be_mounted_too(command: Any) -> None:
    group = typer.Typer()

    @group.command()
    def one() -> None:
        typer.echo("first")

    @group.command()
    def two() -> None:
        typer.echo("second")

    command(group)
    assert CliRunner().invoke(main.app, ["act", "two"]).stdout == "second\n"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("--share=20%", "'20%' is not a number. Write 0.2."),
        ("--share=much", "'much' is not a number."),
        ("--count=2.5", "'2.5' is not a whole number."),
        ("--count=3", "'3': input should be greater than or equal to 40."),
    ],
)
def test_a_bad_value_of_an_option_is_named(command: Any, written: str, said: str) -> None:
    def act(share: float = 0.5, count: Annotated[int, typer.Option(min=40)] = 50) -> None:
        typer.echo(f"{share} {count}")

    command(act)
    done = CliRunner().invoke(main.app, ["act", written])
    assert done.exit_code == 2
    assert f"Invalid value for '{written.partition('=')[0]}': {said}" in " ".join(done.stderr.split())
