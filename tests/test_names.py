"""One word for one thing: no two classes of the package have the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pneumoscope
from syntax import parse_file


def test_the_names_of_classes_are_unique() -> None:
    package = Path(pneumoscope.__file__).parent
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(parse_file(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(package)}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
