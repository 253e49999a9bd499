"""Whether a classifier looks inside flat borders, and what its card says of it.

A border is cut off where the card says that it was so in the model's training and figures. A bundle that was made
before that keeps its behaviour: it may have learnt from images in borders. The bundles of the package are the
exception, since the effect on their figures was measured (docs/results.md): nothing is lost, and a border no longer
decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pneumoscope.bundle.card import Card

MEASURED_LATER = frozenset(
    {
        "04e18f8c98b97c8983f289a5dc3ebb366c8d2b17e04df661d05065aab29de089",  # opacity
        "c480aecdab5460716aee0532ae82a8a99055e11c9fe4ad459f197be6728a3055",  # covid
    }
)
"""Identities of bundles that were made before borders were cut off, and for which the effect was measured."""


def cuts_borders(card: Card, identity: str) -> bool:
    """Return whether a flat border is cut off before a classifier looks.

    Args:
        card: Of the classifier.
        identity: SHA-256 of the card.
    """
    return card.borders == "cut" or identity in MEASURED_LATER


def describe_borders(card: Card, identity: str) -> str:
    """Return what happens to flat borders, and whether a card's figures were measured so, in words.

    Args:
        card: Of the classifier.
        identity: SHA-256 of the card.
    """
    if card.borders == "cut":
        return "cut off before the graph looks, in its training and its figures too"
    if cuts_borders(card, identity):
        return (
            "cut off before the graph looks; training and figures were without that, and about one in a hundred of its "
            "validation images has a border"
        )
    return "not cut off: the graph sees them, as in its training and its figures"
