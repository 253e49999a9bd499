"""The persons behind images, as far as numbers, names and pictures tell, across sets that copied from each other."""

from __future__ import annotations

from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.grouping import find_component_roots
from pneumoscope.data.known_names import find_links_by_name


def number_persons(context: CheckContext) -> list[int]:
    """Return [N] one number for each person: all rows that names or pictures link, directly or through others."""
    links = [(one, two) for one, two, _ in find_links_by_name(context.table)]
    links += [(pair.first, pair.second) for pair in context.pairs]
    return [int(root) for root in find_component_roots(len(context), links)]
