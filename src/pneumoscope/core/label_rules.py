"""How terms are compared, and which words can name a label: rules of spelling, without a vocabulary."""

from __future__ import annotations

import re
import unicodedata

LONGEST_LABEL = 64
"""Characters of the longest identifier."""

RESERVED = frozenset({"refused", "others", "macro", "micro", "weighted"})
"""Words that stand beside labels in tables of figures, so that no label may be one of them."""

_UNFIT = ',;:/\\|[]{}"#=`<>'  # they divide terms, metric names, paths, YAML lists and marked text
_NOT = "not "  # tables of a yes-or-no question name the other side so
_YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "nan"})  # no text in a YAML list

_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")


def fold_term(term: str) -> str:
    """Return a term without what spellings of one word differ in: case, blanks, hyphens, underscores, Unicode form.

    ``Viral_Pneumonia`` and `` viral pneumonia`` are one term. Accents stay: they can change a word.
    """
    visible = "".join(letter for letter in unicodedata.normalize("NFKC", term) if unicodedata.category(letter) != "Cf")
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", visible.casefold())).strip()


def why_no_identifier(text: str) -> str | None:
    """Return why a text cannot be a label's identifier, or None if it can.

    An identifier is a user's own words in any script: up to 64 printable characters with a letter among them, a letter
    or digit first, single blanks inside, and none of the characters that divide lists, paths and names of figures.
    """
    bad = sorted({letter for letter in _without_joiners(text) if letter in _UNFIT or not letter.isprintable()})
    reasons = (
        (not text.strip(), "it is blank"),
        (len(text) > LONGEST_LABEL, f"it has more than {LONGEST_LABEL} characters"),
        (bool(bad), f"it has {' '.join(ascii(letter) for letter in bad)}"),
        (text != tidy_term(text), "it has outer or double blanks, or is not in Unicode's composed form"),
        (not text[:1].isalnum(), "it does not begin with a letter or a digit"),
        (not any(letter.isalpha() for letter in text), "it has no letter"),
        (text.casefold() in _YAML_WORDS or _is_number(text), "YAML does not read it as a text"),
        (text.casefold().startswith(_NOT), "'not ' names the other side of a label"),
        (text.casefold() in RESERVED, "it stands for something else in tables of figures"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _without_joiners(text: str) -> str:
    """Return a text without the joiners that Persian and Indian words are written with; they are not printable."""
    return text.replace("\u200c", "").replace("\u200d", "")


def _is_number(text: str) -> bool:
    for kind in (float, lambda digits: int(digits, 0)):
        try:
            kind(text)
        except ValueError:
            continue
        return True
    return False


def tidy_term(term: str) -> str:
    """Return a term with single blanks inside and none outside, in Unicode's composed form (NFC)."""
    return " ".join(unicodedata.normalize("NFC", term).split())


def is_label_name(text: object) -> bool:
    """Return whether a value of a vocabulary file can be a name or a synonym: printable, and not too long."""
    fits = isinstance(text, str) and len(text) <= LONGEST_LABEL
    return fits and _without_joiners(str(text)).isprintable() and fold_term(str(text)) != ""
