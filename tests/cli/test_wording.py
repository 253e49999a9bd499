"""Errors name arguments and functions as Python has them; the command line shows its options and commands there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import pneumoscope
from pneumoscope.cli.main import COMMANDS, load_command
from pneumoscope.cli.wording import COMMANDS as FUNCTIONS
from pneumoscope.cli.wording import OPTIONS, for_command_line
from pneumoscope.core.arguments import argument
from syntax import parse_file

PACKAGE = Path(pneumoscope.__file__).parent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Say `again=True` to replace them.", "Say --again to replace them."),
        (argument("part", "tset") + ": is unknown.", "--split tset: is unknown."),
        (argument("roots", {"nih": "DIR"}), "--root nih=DIR"),
        (argument("mapping", {"Two words": "LABEL"}), '--map "Two words=LABEL"'),
        (argument("allow", {"sizes": "..."}), '--allow sizes --because "..."'),
        (argument("allow", "sizes"), "--allow sizes"),
        (argument("columns", {"patient_id": "who"}), "--patient-column who"),
        (argument("sets", "task.classes=[a, b]"), "--set 'task.classes=[a, b]'"),
        (argument("home", Path("a/b")), "--home a/b"),
        (argument("port", 8001), "--port 8001"),
        (
            "Go on with it (`resume=True`), or choose another `out`.",
            "Go on with it (--resume), or choose another --out.",
        ),
        ("Divide it with `pneumoscope.split`.", "Divide it with pneumoscope data split."),
        ("Remove its `recipe:`. A value of `map`.", "Remove its `recipe:`. A value of `map`."),
        (argument("design", "kohort"), "--design kohort"),
        (argument("name", "a`b"), "--name 'a`b'"),
    ],
)
def test_arguments_read_as_options(text: str, shown: str) -> None:
    assert for_command_line(text) == shown


def commands() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        command = load_command(name)
        yield name, command
        yield from ((f"{name} {inner}", each) for inner, each in getattr(command, "commands", {}).items())


def test_every_option_and_command_exists() -> None:
    found = dict(commands())
    options = {option for command in found.values() for parameter in command.params for option in parameter.opts}
    assert set(OPTIONS.values()) <= options
    assert set(FUNCTIONS.values()) <= set(found)
    for name in FUNCTIONS:
        value: object = pneumoscope
        for step in name.split("."):
            value = getattr(value, step)
        assert callable(value)


@cache
def error_texts() -> list[tuple[str, str]]:
    """Return where each error is raised, and each constant text of it; names given to `argument` in backquotes."""
    texts = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if PACKAGE / "cli" in path.parents:
            continue
        for node in ast.walk(parse_file(path)):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name.endswith("Error") or name == "KeyboardInterrupt":
                texts += [
                    (f"{path.name}:{inner.lineno}", inner.value)
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
                ]
            elif name == "argument" and isinstance(node, ast.Call) and isinstance(node.args[0], ast.Constant):
                texts.append((f"{path.name}:{node.lineno}", f"`{node.args[0].value}`"))
    return texts


def test_no_other_code_knows_the_options_of_the_command_line() -> None:
    option = re.compile(r"(?<![\w-])--(?!nproc_per_node)[a-z]|pneumoscope [a-z]+ [a-z]+")
    assert [(where, text) for where, text in error_texts() if option.search(text)] == []


def test_every_argument_in_an_error_has_an_option() -> None:
    # Of `Model.predict`; a key of a recipe; a field of the HTTP API.
    python_only = {"inputs", "map", "next"}
    unknown = set()
    for where, text in error_texts():
        for name in re.findall(r"`([a-z_.]+)(?:=[^`]*)?`", text):
            if name not in OPTIONS and name.removeprefix("pneumoscope.") not in FUNCTIONS and name not in python_only:
                unknown.add((where, name))
    assert unknown == set()
