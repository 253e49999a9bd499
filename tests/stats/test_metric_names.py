"""The names that a command checks are those of the metric table."""

from __future__ import annotations

from pneumoscope.stats.metric_names import compared_names
from pneumoscope.stats.metric_table import COMPARED


def test_the_names_read_from_the_source_are_those_of_the_table() -> None:
    assert compared_names() == tuple(COMPARED)
