"""How much longer one side of a picture may be than the other: of a radiograph, and of what a graph runs on."""

from __future__ import annotations

from pneumoscope.core.errors import ImageError

LONGEST = 2.5
"""Most times that one side of a radiograph may be as long as the other; in the sets at hand it is 2.1 at most."""

STRIP = 10.0
"""Times from which on a picture is a strip, which no graph runs on.

A border leaves a quarter of each side at least, so that what lies inside the border of a strip is no radiograph either.
A graph first stretches the short side to its own size: of a picture of one row and a million columns that takes
gigabytes and minutes.
"""

SHORT = 10_000
"""Pixels of the longer side up to which a picture is no strip: a graph runs on it in a moment."""


def measure_ratio(shape: tuple[int, int]) -> float:
    """Return how many times one side is as long as the other, 1 or more.

    Args:
        shape: Height and width in pixels.
    """
    return max(shape) / min(shape)


def describe_ratio(shape: tuple[int, int]) -> str:
    """Return a picture's proportions in words, as they follow "it is".

    Args:
        shape: Height and width in pixels.
    """
    long, short = ("high", "wide") if shape[0] > shape[1] else ("wide", "high")
    return f"{measure_ratio(shape):.1f} times as {long} as it is {short}"


def is_strip(shape: tuple[int, int]) -> bool:
    """Return whether a picture is so long that no graph runs on it.

    Args:
        shape: Height and width in pixels.
    """
    return max(shape) > SHORT and measure_ratio(shape) > STRIP


def check_no_strip(shape: tuple[int, int], name: str = "") -> None:
    """Refuse a picture that no graph runs on.

    Args:
        shape: Height and width in pixels.
        name: Of the picture, for the error; its size by default.

    Raises:
        ImageError: It is a strip.
    """
    if is_strip(shape):
        raise ImageError(
            name or f"an image of {shape[1]} x {shape[0]} pixels",
            f"is {describe_ratio(shape)}, and no model runs on an image of more than {STRIP:.0f} times and "
            f"{SHORT:,} pixels.",
            f"Send the whole radiograph; a chest is at most {LONGEST} times.",
            code="sides",
        )
