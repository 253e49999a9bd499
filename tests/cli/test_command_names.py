"""No command, page or message names a command that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pneumoscope.cli.main import COMMANDS, load_command

ROOT = Path(__file__).parents[2]

PLACES = ("src", "docs", "scripts", "deploy", "benchmarks", "examples", "web/src", "README.md", "CHANGELOG.md",
          "CONTRIBUTING.md", "SECURITY.md", "Makefile", "mkdocs.yml")  # fmt: skip

ENDINGS = {".py", ".md", ".html", ".json", ".ts", ".tsx", ".yaml", ".yml", ".toml", ".ipynb", ".css", ".sh", ""}

BUILT = ROOT / "src" / "pneumoscope" / "web"
"""The web app as it was last built: `web/src` is what it is made of."""

NAMED = re.compile(r"(?<![\w./-])pneumoscope (?P<command>[a-z][a-z-]*)(?: (?P<inner>[a-z][a-z-]*))?")

PYTHON = re.compile(r"(?:import|from) pneumoscope\b|-m pneumoscope\b")
"""Python's own words before or after the package's name."""


NO_COMMANDS = ("pneumoscope phantom", "pneumoscope tuning")
"""The entropy of a drawn file's UID; a user and a database, as createdb takes them."""


def sub_commands() -> dict[str, set[str]]:
    """Command -> its sub-commands; empty for a command that has none."""
    return {name: set(getattr(load_command(name), "commands", ())) for name in COMMANDS}


def problem_of(match: re.Match[str], known: dict[str, set[str]]) -> str | None:
    """What is wrong with the command that a text names; None if nothing is."""
    command, inner = match["command"], match["inner"]
    if command not in known:
        return f"there is no command {command!r}"
    if inner is not None and known[command] and inner not in known[command]:
        return f"{command!r} has no command {inner!r}"
    return None


def files() -> Iterator[Path]:
    for place in PLACES:
        path = ROOT / place
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix in ENDINGS and BUILT not in file.parents:
                yield file


def test_every_command_that_is_named_exists() -> None:
    known = sub_commands()
    wrong = []
    named = 0
    for file in files():
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            for match in NAMED.finditer(PYTHON.sub("", line)):
                named += 1
                problem = None if match[0] in NO_COMMANDS else problem_of(match, known)
                if problem is not None:
                    wrong.append(f"{file.relative_to(ROOT)}:{number}: {problem}")
    assert named > 100
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pneumoscope models install", "'models' has no command 'install'"),
        ("run `pneumoscope diagnose BUNDLE`", "there is no command 'diagnose'"),
        ("pneumoscope data split m.parquet", None),
        ("pneumoscope predict studies", None),
    ],
)
def test_a_command_that_is_not_there_is_found(text: str, problem: str | None) -> None:
    match = NAMED.search(text)
    assert match is not None
    assert problem_of(match, sub_commands()) == problem
