"""Counts in sentences."""

from __future__ import annotations

import pytest

from pneumoscope.core.counts import format_count


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (1200, ("pair",), "1,200 pairs"),
        (1, ("pair shows", "pairs show"), "1 pair shows"),
        (2, ("pair shows", "pairs show"), "2 pairs show"),
    ],
)
def test_one_is_singular_and_all_others_plural(number: int, words: tuple[str, ...], text: str) -> None:
    assert format_count(number, *words) == text
