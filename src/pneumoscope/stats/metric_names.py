"""The names of the metrics by which models are compared, without SciPy: a wrong name is refused at once.

The metric table imports SciPy, which takes a second. Its declarations are plain, so that the names can be read from its
source; `tests/stats/test_metric_names.py` compares them with the table.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.resources import files

MEAN_AREA = "macro/auroc"
"""The figure by which models of several findings are compared, by its name in `stats.finding_averages`."""

_LAST = ("lower",)
"""Metrics that are better when smaller come last, as in the table."""


@cache
def compared_names() -> tuple[str, ...]:
    """Return the names of the metrics by which two models are compared, in the order of ``metric_table.COMPARED``."""
    tree = ast.parse((files("pneumoscope.stats") / "metric_table.py").read_text(encoding="utf-8"))
    registries: dict[str, list[tuple[bool, str]]] = {}
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        for call in (node for node in function.decorator_list if isinstance(node, ast.Call)):
            options = {keyword.arg: keyword.value for keyword in call.keywords}
            if "paired" in options and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
                name, better = ast.literal_eval(call.args[0]), ast.literal_eval(options["better"])
                registries.setdefault(call.func.value.id, []).append((better in _LAST, name))
    # The table lists the metrics of one class first, then those of all classes, then those at a threshold.
    ordered = [row for kind in ("CLASS", "OVERALL", "THRESHOLD") for row in registries.get(f"{kind}_METRICS", [])]
    return tuple(dict.fromkeys(name for _, name in sorted(ordered, key=lambda row: row[0])))
