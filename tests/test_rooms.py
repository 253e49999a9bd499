"""The floors: a module imports only from its own floor or lower ones, and the clinic never imports torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "pneumoscope"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "labels", "registry", "files", "changes", "card", "recipe"),
    ("pixels", "stats"),
    ("data",),
    ("infer", "journal", "tables", "predict", "evidence", "verify"),
    ("evaluate", "probe", "comparison", "report"),
    ("serve",),
    (
        "lab.shim",
        "lab.dropout",
        "lab.weights",
        "lab.classic",
        "lab.heads",
        "lab.zoo",
        "lab.machine",
        "lab.cache",
        "lab.augment",
        "lab.ranks",
        "lab.norm",
        "lab.dataset",
    ),
    (
        "lab.layers",
        "lab.optim",
        "lab.module",
        "lab.callbacks",
        "lab.parallel",
        "lab.prepare",
        "lab.features",
        "lab.fit",
        "lab.tune",
    ),
    ("export",),
    ("compare",),
    ("cli", "__main__"),
)
"""Lowest first; a name stands for a module or for a package with all that is in it."""

TORCH = {"torch", "torchvision", "timm", "lightning", "safetensors", "onnxscript"}


def modules() -> list[str]:
    """Dotted names of all modules below the package, without packages' own ``__init__``."""
    paths = (path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths)


def floor_of(module: str) -> int:
    for number, names in enumerate(FLOORS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return number
    raise AssertionError(f"{module} is on no floor: give it one in FLOORS")


def imports(module: str) -> set[str]:
    """What a module imports, lazily or not, as full dotted names; imports for type checkers alone do not count."""
    tree = ast.parse((PACKAGE / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_modules(names: set[str]) -> set[str]:
    known = set(modules())
    found = set()
    for name in names:
        if name.startswith("pneumoscope."):
            inner = name.removeprefix("pneumoscope.")
            found |= {candidate for candidate in (inner, inner.rpartition(".")[0]) if candidate in known}
    return found


@pytest.mark.parametrize("module", modules())
def test_imports_only_go_down(module: str) -> None:
    upwards = {other for other in own_modules(imports(module)) if floor_of(other) > floor_of(module)}
    assert not upwards, f"{module} (floor {floor_of(module)}) imports from above: {sorted(upwards)}"


@pytest.mark.parametrize("module", [m for m in modules() if not m.startswith(("lab.", "export.", "compare.", "cli."))])
def test_the_clinic_does_not_name_torch(module: str) -> None:
    heavy = {name for name in imports(module) if name.split(".")[0] in TORCH}
    assert not heavy, f"{module} imports {sorted(heavy)}"


def test_the_clinic_works_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    """Import every module of the clinic in a process in which torch and its kin raise."""
    clinic = [m for m in modules() if not m.startswith(("lab.", "export.", "compare."))]
    code = (
        "import sys, importlib, importlib.abc\n"
        "class Bar(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {TORCH!r}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Bar())\n"
        f"for name in {clinic!r}: importlib.import_module('pneumoscope.' + name)\n"
        "try:\n"
        "    import pneumoscope.training\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert "MissingExtraError" in result.stdout
    assert "pip install 'pneumoscope[lab]'" in result.stdout
