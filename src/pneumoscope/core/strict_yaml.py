"""YAML that says one thing: PyYAML takes the last of two equal keys and reads 0104 as 68, and says nothing."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml
from yaml.constructor import ConstructorError

_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_LONGEST_SHOWN = 40


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses a key twice, merge keys, and numbers of YAML 1.1 that look like others."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                # Merge keys that nest double PyYAML's work with each level.
                _refuse(key, "a merge key (<<) is not taken; write the keys themselves")
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    line = key.start_mark.line + 1
                    raise ConstructorError(None, None, f"the key {key.value!r} stands twice, in line {line} again")
                seen.add((key.tag, key.value))
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """Return a number, as every reader of the file takes it."""
        text = node.value
        if ":" in text:
            _refuse(node, f"YAML reads {_show(text)} with base 60; write the number itself, or '{_show(text)}'")
        if _OCTAL.fullmatch(text):
            sign, digits = text[: -len(text.lstrip("+-"))], text.lstrip("+-0_").replace("_", "") or "0"
            decimal = _show(sign.strip("+") + digits)
            _refuse(node, f"YAML reads {_show(text)} as octal; write {decimal} or '{_show(text)}'")
        whole = node.tag == "tag:yaml.org,2002:int"
        try:
            number: int | float = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        except ValueError:  # Python reads no number of more than 4,300 digits
            _refuse(node, f"{_show(text)} is no number that can be read")
        return number


for _kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _StrictLoader.construct_number)


def _refuse(node: yaml.Node, problem: str) -> NoReturn:
    raise ConstructorError(None, None, f"{problem} (line {node.start_mark.line + 1})")


def _show(text: str) -> str:
    """Return what a file holds, for an error."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"


def load_strictly(text: str) -> Any:
    """Return what a YAML text holds.

    Args:
        text: One document.

    Raises:
        yaml.YAMLError: It is no YAML, has a key twice, a merge key, a number that YAML 1.1 reads as octal or with base
            60, a value that is none (a date in a thirteenth month), or more levels than Python can follow.
    """
    try:
        return yaml.load(text, _StrictLoader)  # a safe loader
    except (ValueError, RecursionError) as error:
        reason = "it has too many levels" if isinstance(error, RecursionError) else str(error)
        raise yaml.YAMLError(reason) from error
