"""The order of rooms (packages): a module imports only from its own room and from rooms before it.

The rooms that are not in MAY_NEED_TORCH never need torch.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from syntax import parse_file

PACKAGE = Path(__file__).parents[1] / "src" / "pneumoscope"

ROOMS = (
    "core",
    "recipes",
    "imaging",
    "stats",
    "data",
    "bundle",
    "inference",
    "reporting",
    "training",
    "export",
    "tuning",
    "comparison",
    "auditing",
    "acceptance",
    "certification",
    "workflows",
    "server",
    "cli",
)
"""The rooms in order: a room imports only from itself and from rooms before it, type-only imports included."""

MAY_NEED_TORCH = ("training", "export", "tuning", "comparison", "auditing", "workflows")
"""Rooms that make, compare and audit models."""

TORCH = {"torch", "torchvision", "timm", "lightning", "safetensors", "onnxscript"}


@cache
def modules() -> list[str]:
    """Return the dotted names of all modules in the package except each ``__init__``."""
    paths = (path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths)


def room_of(module: str) -> int:
    """Return the position of a module's room in ROOMS; the package's own ``__init__`` and ``__main__`` come last."""
    return ROOMS.index(module.split(".")[0]) if "." in module else len(ROOMS)


@cache
def imports(module: str, *, typing_only: bool = True) -> frozenset[str]:
    """Return the full dotted names that a module imports, lazily or not; with ``typing_only`` also those for types."""
    tree = parse_file((PACKAGE / Path(*module.split("."))).with_suffix(".py"))
    skipped_nodes = {
        id(inner)
        for node in ast.walk(tree)
        if not typing_only and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped_nodes:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def own_modules(names: frozenset[str]) -> set[str]:
    """Return the package's modules among imported names, as dotted names below the package."""
    known = set(modules())
    imported = set()
    for name in names:
        if name.startswith("pneumoscope."):
            inner = name.removeprefix("pneumoscope.")
            imported |= {candidate for candidate in (inner, inner.rpartition(".")[0]) if candidate in known}
    return imported


def test_every_module_is_in_a_room() -> None:
    assert {module.split(".")[0] for module in modules() if "." in module} <= set(ROOMS)
    assert {module for module in modules() if "." not in module} == {"__main__"}


@pytest.mark.parametrize("module", modules())
def test_imports_follow_the_order_of_rooms(module: str) -> None:
    later = {other for other in own_modules(imports(module)) if room_of(other) > room_of(module)}
    assert not later, f"{module} imports from a later room: {sorted(later)}"


SERVER_PARTS = (
    "errors",
    "certificates",
    "settings",
    "process_limits",
    "processes",
    "storage",
    "security",
    "inference",
    "studies",
    "uploads",
    "reading",
    "dicom",
    "administration",
    "api",
    "app",
    "connections",
    "run",
)
"""The server's packages and modules in order: each imports only from itself and from those before it."""


DICOM_PARTS = ("objects", "results", "routing", "calling", "receiving", "web")
"""The packages of `server/dicom` in order, likewise."""


@pytest.mark.parametrize(("package", "parts"), [("server", SERVER_PARTS), ("server.dicom", DICOM_PARTS)])
def test_imports_within_a_package_follow_the_order_of_its_parts(package: str, parts: tuple[str, ...]) -> None:
    def position(module: str) -> int:
        return parts.index(module.removeprefix(f"{package}.").split(".")[0])

    inside = [module for module in modules() if module.startswith(f"{package}.")]
    later = {
        (module, other)
        for module in inside
        for other in own_modules(imports(module)) & set(inside)
        if position(other) > position(module)
    }
    assert inside
    assert not later, f"(module, module of a later part): {sorted(later)}"


DOMAIN = tuple(
    f"server.{part}." for part in ("storage", "security", "uploads", "studies", "inference", "reading", "dicom")
)
"""The sub-packages of the server that do not import HTTP libraries."""


@pytest.mark.parametrize("module", [m for m in modules() if m.startswith(DOMAIN)])
def test_domain_modules_of_the_server_do_not_import_http(module: str) -> None:
    names = imports(module)
    http = {name for name in names if name.split(".")[0] in ("fastapi", "starlette")}
    http |= {name for name in names if f"{name}.".startswith("pneumoscope.server.api.")}
    assert not http, sorted(http)


def test_no_two_modules_import_each_other() -> None:
    """Check that there are no circles, not even of imports for type checkers."""
    graph = {module: own_modules(imports(module)) - {module} for module in modules()}
    circles = []
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            circles.append(path[path.index(module) :])
        elif module not in finished:
            for other in sorted(graph[module]):
                visit(other, (*path, module))
            finished.add(module)

    for module in sorted(graph):
        visit(module, ())
    assert not circles, circles


_NEVER_TORCH = [m for m in modules() if not m.startswith((*(f"{room}." for room in MAY_NEED_TORCH), "cli."))]


@pytest.mark.parametrize("module", _NEVER_TORCH)
def test_rooms_that_use_models_do_not_import_torch(module: str) -> None:
    heavy = {name for name in imports(module, typing_only=False) if name.split(".")[0] in TORCH}
    assert not heavy, f"{module} imports {sorted(heavy)}"


def test_the_base_install_works_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    """Import every module of the base install in a process in which imports of torch and of its relatives fail."""
    without_torch = [m for m in modules() if not m.startswith(tuple(f"{room}." for room in MAY_NEED_TORCH))]
    code = (
        "import sys, importlib, importlib.abc\n"
        "class Refuse(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {TORCH!r}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"for name in {without_torch!r}: importlib.import_module('pneumoscope.' + name)\n"
        "try:\n"
        "    import pneumoscope.training\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert "MissingExtraError" in result.stdout
    assert "pip install 'pneumoscope[train]'" in result.stdout
