"""Texts that people write and search for: file names, labels, names of patients."""

from __future__ import annotations

import unicodedata

SHORTEST = 2
"""Signs of a text that is searched for; fewer would match nearly everything."""
MOST_MATCHES = 20
"""Matches of one kind that a search returns."""
MOST_SEARCHED = 50_000
"""Sealed rows that a search opens: some tenths of a second."""
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Signs of format that Persian words and some symbols need."""


def clean_text(text: str) -> str:
    """Return a text as one line without signs that no one sees, such as control and direction marks (NFC)."""
    spaced = "".join(" " if sign.isspace() else sign for sign in unicodedata.normalize("NFC", text))
    visible = (sign for sign in spaced if sign in _JOINERS or unicodedata.category(sign)[0] != "C")
    return " ".join("".join(visible).split())


def fold_text(text: str) -> str:
    """Return a text as it is compared: case, forms of the same letters (NFKC) and joiners do not matter."""
    folded = unicodedata.normalize("NFKC", clean_text(text)).casefold()
    return unicodedata.normalize("NFKC", "".join(sign for sign in folded if sign not in _JOINERS))
