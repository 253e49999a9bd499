"""YAML in which no key may stand twice: PyYAML takes the last one, and says nothing."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import ConstructorError


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses a mapping with a key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    line = key.start_mark.line + 1
                    raise ConstructorError(None, None, f"the key {key.value!r} stands twice, in line {line} again")
                seen.add((key.tag, key.value))
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def load_strictly(text: str) -> Any:
    """Return what a YAML text holds.

    Args:
        text: One document.

    Raises:
        yaml.YAMLError: It is no YAML, has a key twice, a value that is none (a date in a thirteenth month), or more
            levels than Python can follow.
    """
    try:
        return yaml.load(text, _StrictLoader)  # a safe loader
    except (ValueError, RecursionError) as error:
        reason = "it has too many levels" if isinstance(error, RecursionError) else str(error)
        raise yaml.YAMLError(reason) from error
