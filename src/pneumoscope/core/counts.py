"""Counts in sentences: "1 image", "2 images", "1,200 pairs"."""

from __future__ import annotations


def format_count(number: int, one: str, several: str = "") -> str:
    """Return a count with its noun, or with the whole beginning of a sentence.

    Args:
        number: The count; thousands get a comma.
        one: The words after 1: ``image``, or ``pair shows``.
        several: The words after any other count, 0 too; by default ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
