"""The label vocabulary and the sentences that every screen must show.

A source's own terms are mapped by an explicit table in its own module, never by a substring match; the verbatim term
is kept in the manifest's ``raw_label``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pneumoscope.core.errors import LabelError
from pneumoscope.core.registry import suggestion

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "covid-19": "COVID-19",
        "normal": "Normal",
        "viral-pneumonia": "Viral pneumonia",
        "bacterial-pneumonia": "Bacterial pneumonia",
        "pneumonia": "Pneumonia",
        "lung-opacity": "Lung opacity",
        "other": "Other finding",
    }
)
"""Identifier -> name on screen."""

VIEWS = ("PA", "AP", "AP Supine", "L")
PARTS = ("train", "validation", "calibration", "test")

DISCLAIMER = (
    "Research software. Not a medical device: not CE-marked, not cleared or approved by the FDA. "
    "Do not use it to diagnose, rule out, triage, prioritise or treat. "
    "A qualified reader must read every image without it first."
)

NO_PATTERN = "No pattern that this model looks for"
"""What a screen says instead of a bare "normal"."""


def check_label(label: str, where: str) -> str:
    """Return ``label`` if it is in the vocabulary.

    Raises:
        LabelError: It is not; the message suggests the nearest and lists all.
    """
    if label in LABELS:
        return label
    raise LabelError(
        where,
        f"the label {label!r} is not in the vocabulary.{suggestion(label, LABELS)}",
        f"Labels: {', '.join(LABELS)}.",
    )


def display_name(label: str) -> str:
    """Return the name on screen; a class that a recipe merged or named itself is shown as it is written."""
    return LABELS.get(label, label)


def result_phrase(label: str) -> str:
    """Return how a decision is worded: "normal" never stands alone as a result."""
    return NO_PATTERN if label == "normal" else display_name(label)
