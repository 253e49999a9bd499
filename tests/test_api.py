"""The public Python API: every command has its function, and every public name says what it takes, gives and raises."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import pneumoscope as ps
from pneumoscope.cli.main import COMMANDS, load_command

FUNCTIONS = {
    "demo": "server.serve",
    "data import": "import_data",
    "data split": "split",
    "data merge": "merge",
    "data check": "check",
    "data describe": "describe",
    "data show": "draw_contact_sheet",
    "phantoms": "draw_phantoms",
    "recipes list": "Recipe.names",
    "recipes show": "Recipe.load",
    "train": "train",
    "compare": "compare",
    "tune": "tune",
    "evaluate": "evaluate",
    "report": "report",
    "predict": "predict",
    "models list": "list_bundles",
    "models show": "describe_bundle",
    "models verify": "verify",
    "cache": "list_cache",
    "cache clear": "clear_cache",
    "serve": "server.serve",
    "backup": "server.back_up",
    "users add": "server.add_account",
    "users list": "server.list_accounts",
    "users disable": "server.disable_account",
    "users password": "server.set_password",
    "reads report": "server.report_reads",
    "reads export": "server.export_site",
    "reads exports": "server.list_site_exports",
}
"""Command -> what a Python user calls."""


def public(name: str) -> object:
    value: object = ps
    for step in name.split("."):
        value = getattr(value, step)
    return value


def test_every_command_has_its_function() -> None:
    commands = set()
    for name in COMMANDS:
        inner = getattr(load_command(name), "commands", None)
        commands |= {name} if not inner or name == "cache" else set()
        commands |= {f"{name} {each}" for each in inner or ()}
    assert commands == set(FUNCTIONS)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS.values())))
def test_a_function_documents_its_arguments_result_and_errors(name: str) -> None:
    function = public(name)
    text = inspect.getdoc(function) or ""
    assert callable(function)
    if inspect.signature(function).parameters:
        assert "Args:" in text
    for parameter in inspect.signature(function).parameters:
        assert f"\n    {parameter}: " in text, parameter


@pytest.mark.parametrize("name", [*ps.__all__, *(f"server.{name}" for name in ps.server.__all__)])
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = public(name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


def test_the_front_modules_are_lazy_and_complete() -> None:
    assert set(ps.__all__) <= set(dir(ps))
    assert set(ps.server.__all__) <= set(dir(ps.server))
    code = "import sys, pneumoscope; print([n for n in ('numpy', 'pydantic', 'yaml', 'torch') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    with pytest.raises(AttributeError, match="has no attribute 'audit'"):
        ps.audit  # type: ignore[attr-defined]  # noqa: B018
