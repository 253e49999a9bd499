"""The vocabulary of labels, and the sentences that every screen must show.

The vocabulary is data (``labels.yaml``), so that a new label is a new entry there and no change in code. A source maps
its own terms to labels by an explicit table in its own module, never by a substring match; the manifest's ``raw_label``
keeps the verbatim term.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pneumoscope.core.errors import LabelError
from pneumoscope.core.registry import suggestion

VIEWS = ("PA", "AP", "AP Supine", "L")
ADULT_AGE = 18
"""Years from which on a patient counts as an adult."""
PARTS = ("train", "validation", "calibration", "test")

DISCLAIMER = (
    "Research software. Not a medical device: not CE-marked, not cleared or approved by the FDA. "
    "Do not use it to diagnose, rule out, triage, prioritise or treat. "
    "A qualified reader must read every image without it first."
)

_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")

NO_PATTERN = "No pattern that this model looks for"
"""What a screen says instead of a bare "normal"."""


def fold_term(term: str) -> str:
    """Return a term without what spellings of one word differ in: case, blanks, hyphens, underscores, Unicode form.

    ``Viral_Pneumonia`` and `` viral pneumonia`` are one term. Accents stay: they can change a word.
    """
    visible = "".join(letter for letter in unicodedata.normalize("NFKC", term) if unicodedata.category(letter) != "Cf")
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", visible.casefold())).strip()


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a vocabulary."""

    identifier: str
    """As manifests, recipes and cards write it: ``viral-pneumonia``."""
    names: Mapping[str, str]
    """Language -> name on screen; English ("en") is always there."""
    synonyms: tuple[str, ...] = ()
    """Other terms that mean exactly this label."""
    none: bool = False
    """Whether it means "none of these findings"."""


class LabelSet(Mapping[str, Label]):
    """A vocabulary: identifier -> `Label`, in the order of tables.

    Args:
        labels: The labels.
        name: What the vocabulary is called in an error message.

    Raises:
        LabelError: A label occurs twice, has no English name, or more than one label means "none of these".
    """

    def __init__(self, labels: Mapping[str, Label] | list[Label], name: str = "vocabulary") -> None:
        members = list(labels.values()) if isinstance(labels, Mapping) else labels
        self.name = name
        self._labels = {label.identifier: label for label in members}
        if len(self._labels) != len(members):
            raise LabelError(name, "names a label twice.", "Name each label once.")
        if nameless := [label.identifier for label in members if "en" not in label.names]:
            raise LabelError(name, f"has no English name for {nameless[0]!r}.", "Add it: names: {en: ...}")
        none = [label.identifier for label in members if label.none]
        if len(none) > 1:
            raise LabelError(name, f"has {len(none)} labels that mean none of these: {', '.join(none)}.", "Keep one.")
        self._none = none[0] if none else None
        self._terms: dict[str, str] = {}
        for identifier, label in self._labels.items():
            for word in (identifier, *label.names.values(), *label.synonyms):
                self._terms.setdefault(fold_term(word), identifier)

    @classmethod
    @cache
    def builtin(cls) -> LabelSet:
        """Return the vocabulary that ships with the package.

        Returns:
            The same object at each call.
        """
        import yaml

        path = Path(__file__).with_name("labels.yaml")
        return cls.from_entries(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)

    @classmethod
    def from_entries(cls, entries: Mapping[str, Mapping[str, Any]], name: str) -> LabelSet:
        """Return the vocabulary of a parsed YAML file.

        Args:
            entries: Identifier -> ``names``, ``synonyms`` and ``none``, as ``labels.yaml`` describes them.
            name: What the vocabulary is called in an error message.

        Returns:
            The vocabulary, in the order of the entries.

        Raises:
            LabelError: An entry has no English name, or more than one label means "none of these".
        """
        labels = [
            Label(
                identifier,
                MappingProxyType(dict(entry.get("names", {}))),
                tuple(entry.get("synonyms", ())),
                bool(entry.get("none", False)),
            )
            for identifier, entry in entries.items()
        ]
        return cls(labels, name)

    def __getitem__(self, identifier: str) -> Label:
        return self._labels[identifier]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __repr__(self) -> str:
        return f"LabelSet({', '.join(self)})"

    @property
    def none_label(self) -> str | None:
        """The label that means "none of these findings"; None where the vocabulary has none."""
        return self._none

    def name_of(self, identifier: str, language: str = "en") -> str:
        """Return a label's name on screen.

        Args:
            identifier: As manifests write it.
            language: "en", "de", ...; English where the label has no name in it.

        Returns:
            The name; an unknown identifier, such as a class that a recipe named, stays as it is.
        """
        if identifier not in self:
            return identifier
        names = self[identifier].names
        return names.get(language, names["en"])

    def find(self, term: str) -> str | None:
        """Return the label that a term means exactly.

        Args:
            term: Any text; terms are compared by `fold_term`.

        Returns:
            The identifier of the label whose identifier, name or synonym this is; None where there is none.
        """
        return self._terms.get(fold_term(term))

    @property
    def terms(self) -> Mapping[str, str]:
        """Every identifier, name and synonym, as `fold_term` returns it -> its label."""
        return self._terms

    def check(self, identifier: str, where: str) -> str:
        """Return ``identifier`` if the vocabulary has it.

        Args:
            identifier: Of a label.
            where: What an error calls the place that names it.

        Returns:
            The identifier.

        Raises:
            LabelError: It is not there; the message suggests the nearest and lists all.
        """
        if identifier in self:
            return identifier
        raise LabelError(
            where,
            f"the label {identifier!r} is not in the vocabulary.{suggestion(identifier, self)}",
            f"Labels: {', '.join(self)}.",
        )


class _Names(Mapping[str, str]):
    """Identifier -> English name of the built-in vocabulary, read when it is first used: `--help` never needs it."""

    def __getitem__(self, identifier: str) -> str:
        return LabelSet.builtin()[identifier].names["en"]

    def __iter__(self) -> Iterator[str]:
        return iter(LabelSet.builtin())

    def __len__(self) -> int:
        return len(LabelSet.builtin())


LABELS: Mapping[str, str] = _Names()
"""Identifier -> English name on screen, of the built-in vocabulary."""


def check_label(label: str, where: str) -> str:
    """Return ``label`` if the built-in vocabulary has it; see `LabelSet.check`."""
    return LabelSet.builtin().check(label, where)


def display_name(label: str) -> str:
    """Return a label's English name on screen; a class that a recipe merged or named itself stays as it is."""
    return LabelSet.builtin().name_of(label)


def is_none_label(label: str) -> bool:
    """Return whether a label means "none of these findings"."""
    return label == LabelSet.builtin().none_label


def result_phrase(label: str) -> str:
    """Return the words for a decision: "normal" never stands alone as a result."""
    return NO_PATTERN if is_none_label(label) else display_name(label)
