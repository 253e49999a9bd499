"""The names of the devices that a training can run on; whether a machine has one, torch says."""

from __future__ import annotations

DEVICES = ("auto", "cpu", "cuda", "mps")
"""``auto`` takes the fastest that is available."""
