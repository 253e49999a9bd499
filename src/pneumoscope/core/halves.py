"""The two halves of the calibration part: a group's half follows from its name alone."""

from __future__ import annotations

import hashlib


def in_first_half(group: str) -> bool:
    """Return whether a group is in the first half of the calibration part, by a hash of its name.

    The hash needs no seed and no order, so that no image changes its half when others are added.
    """
    return hashlib.sha256(f"calibration-half:{group}".encode()).digest()[0] < 128
